//! A catalog as others see it.
use icehaul_tests::{
    engine::Engine,
    postgres::{OWNER, OWNER_PASSWORD},
    s3::{ACCESS_KEY, SECRET_KEY},
    trino::{Trino, jdbc_url},
};
use serde_json::Value;

use super::{BUCKET, Stand};

/// A catalog, and others that read its tables: Trino, and PyIceberg.
pub(super) struct Side {
    catalog: &'static str,
    /// The catalog's name in Trino.
    pub name: String,
    trino: Engine,
    pyiceberg: Engine,
}

impl Side {
    pub async fn near(stand: &Stand, server: &'static Trino) -> Self {
        let data = stand.data.path().display();
        let variables = [
            ("ICEBERG_WAREHOUSE", format!("file://{data}/warehouse")),
            ("ICEBERG_JDBC_URL", format!("jdbc:sqlite:{data}/catalog.db")),
        ];
        Self::new("default", "catalogs-embedded/iceberg.properties", &variables, &stand.sqlite(), server).await
    }

    pub async fn far(stand: &Stand, server: &'static Trino) -> Self {
        let variables = [
            ("ICEBERG_WAREHOUSE", format!("s3://{BUCKET}/wh")),
            ("ICEBERG_JDBC_URL", jdbc_url(&stand.database)),
            ("ICEBERG_JDBC_USER", OWNER.to_owned()),
            ("ICEBERG_JDBC_PASSWORD", OWNER_PASSWORD.to_owned()),
            ("S3_ENDPOINT", stand.store.endpoint()),
            ("S3_REGION", "us-east-1".to_owned()),
            ("S3_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("S3_SECRET_KEY", SECRET_KEY.to_owned()),
        ];
        Self::new("far", "catalogs/iceberg.properties", &variables, &stand.postgres().0, server).await
    }

    async fn new(
        catalog: &'static str,
        file: &str,
        variables: &[(&str, String)],
        uri: &str,
        server: &'static Trino,
    ) -> Self {
        let name = format!("w{}", uuid::Uuid::new_v4().simple());
        let mut all = variables.to_vec();
        all.push(("ICEBERG_CATALOG", catalog.to_owned()));
        server.create_catalog(&name, file, &all).await;
        let trino = Engine::start(&["trino", uri, catalog, &server.url, &name], variables).await;
        let pyiceberg = Engine::start(&["pyiceberg", uri, catalog], variables).await;
        Self { catalog, name, trino, pyiceberg }
    }

    /// What Icehaul, Trino and PyIceberg see in a table, which must be the same: rows, the fingerprint, that of each column, and figures.
    /// The fingerprints of the others are made by the independent implementation. PyIceberg does not read deletes by value.
    pub async fn seen(&mut self, stand: &Stand, table: &str, by_value: bool) -> Value {
        let seen = self.trino.see(table).await;
        if !by_value {
            let other = self.pyiceberg.see(table).await;
            for what in ["rows", "fingerprint", "columns"] {
                assert_eq!(other[what], seen[what], "{table} in {}: {what}", self.catalog);
            }
        }
        assert_eq!(stand.fingerprint(table, self.catalog).await, seen["fingerprint"], "{table} in {}", self.catalog);
        seen
    }
}

/// The number of files that delete rows.
pub(super) async fn deletes(server: &Trino, side: &Side, table: &str) -> u64 {
    let (namespace, table) = table.split_once('.').expect("a name");
    let asked = format!("SELECT count(*) FROM {}.{namespace}.\"{table}$files\" WHERE content > 0", side.name);
    server.one(&asked).await.as_u64().expect("a number")
}
