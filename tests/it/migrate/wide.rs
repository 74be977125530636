//! A table of 200 columns of every type, whose rows others have deleted in three ways, to and fro between two catalogs.
use icehaul_tests::trino::server;
use serde_json::{Value, json};

use super::{
    Stand, request,
    side::{Side, deletes},
};
use crate::pyiceberg::python;

#[tokio::test(flavor = "multi_thread")]
async fn slow_two_hundred_columns_are_the_same_in_both_modes_whoever_deleted_rows() {
    let stand = Stand::new().await;
    stand.first_contact().await;
    let server = tokio::task::spawn_blocking(server).await.expect("Trino");
    let (mut near, mut far) = (Side::near(&stand, server).await, Side::far(&stand, server).await);
    let (uri, warehouse) = (stand.sqlite(), format!("file://{}", stand.warehouse().display()));
    for (table, rows) in [("position", 258), ("value", 298), ("rewritten", 280)] {
        let (source, by_value) = (format!("raw.{table}"), table == "value");
        python(&["wide_table.py", &uri, "make", &source, &warehouse]).await;
        match table {
            "position" => {
                server.rows(&format!("DELETE FROM {}.{source} WHERE id % 7 = 3 AND id > 3", near.name)).await;
                server.rows(&format!("UPDATE {}.{source} SET c013 = 'u', c007 = c007 + 1, c019 = MAP(ARRAY['z'], ARRAY[BIGINT '1']) WHERE id IN (11, 160)", near.name)).await;
            }
            "value" => {
                python(&["snapshots.py", &uri, "equality", &source, "3", "170", "4711"]).await;
            }
            _ => {
                python(&["wide_table.py", &uri, "delete", &source, "id >= 140 and id < 160"]).await;
            }
        }
        let (home, left) = (near.seen(&stand, &source, by_value).await, deletes(server, &near, &source).await);
        assert_eq!((home["rows"].as_u64(), left > 0), (Some(rows), table != "rewritten"), "{source}");
        for copy in ["rows", "files"] {
            let (kept, back) = (format!("kept.{table}_{copy}"), format!("back.{table}_{copy}"));
            for (from, to, catalogs) in [(&source, &kept, ("default", "far")), (&kept, &back, ("far", "default"))] {
                let fields = json!({"copy": copy, "source_catalog": catalogs.0, "dest_catalog": catalogs.1});
                let result = stand.icehaul.done("/migrate", &request(from, to, fields)).await;
                assert_eq!(
                    (&result["verdict"], &result["rows_migrated"]),
                    (&json!("match"), &json!(rows)),
                    "{to}: {result:#}"
                );
                // Files are compared by their bytes.
                let proof = if copy == "rows" { home["fingerprint"].clone() } else { Value::Null };
                assert_eq!(result["destination_checksum"], proof, "{to}");
                let side = if catalogs.1 == "far" { &mut far } else { &mut near };
                assert_eq!(side.seen(&stand, to, by_value && copy == "files").await, home, "{to}");
                assert_eq!(deletes(server, side, to).await, if copy == "rows" { 0 } else { left }, "{to}");
            }
        }
    }
}
