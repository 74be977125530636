//! Rounds of random steps, Trino's statements and Icehaul's loads; the seed is printed and can be given again.
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{House, Kept};

/// Numbers from a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }
}

/// One table under change.
struct Round<'a> {
    house: &'a House,
    dice: Dice,
    table: String,
    partition_by: Value,
    /// The columns that Trino has added.
    extra: Vec<String>,
    /// Whether `id` is a bigint by now.
    wide: bool,
    next_id: u64,
    columns_made: u32,
}

impl Round<'_> {
    async fn load(&mut self) -> String {
        let (from, rows) = (self.next_id, 1 + self.dice.throw(40));
        self.next_id += rows;
        let query = format!(
            "select g::int as id, g % 5 as grp, 'n' || g as name, (g / 3.0)::numeric(12,3) as amount, \
             timestamp '2024-01-31 23:00' + g * interval '7 hours' as at from generate_series({from}, {}) g",
            from + rows - 1
        );
        let mode = if self.dice.throw(12) == 0 { "overwrite" } else { "append" };
        let fields = json!({"partition_by": self.partition_by, "verify": "checksum", "mode": mode});
        self.house.load(&query, &self.table, fields).await;
        format!("load of {rows} rows by {mode}")
    }

    /// Statements of Trino; none if this step has nothing to do now.
    fn statements(&mut self) -> Vec<String> {
        let table = format!("{{}}.{}", self.table);
        let (k, r) = (self.dice.throw(7) + 2, self.dice.throw(2));
        let one = match self.dice.throw(13) {
            0 | 1 => {
                let from = self.next_id;
                self.next_id += 3;
                format!(
                    "INSERT INTO {table} (id, grp, name, amount, at) SELECT CAST(n AS integer), CAST(n % 5 AS integer), 't', NULL, TIMESTAMP '2024-03-01 00:00:00.000001' FROM UNNEST(sequence({from}, {})) u (n)",
                    from + 2
                )
            }
            2 | 3 => format!("UPDATE {table} SET name = name || 'u', amount = amount + 1 WHERE id % {k} = {r}"),
            4 | 5 => format!("DELETE FROM {table} WHERE id % {} = {r}", k + 3),
            6 => format!(
                "MERGE INTO {table} t USING (SELECT * FROM (VALUES {}) v (id)) s ON t.id = s.id WHEN MATCHED AND t.id % 2 = 0 THEN DELETE \
                 WHEN MATCHED THEN UPDATE SET name = 'm' WHEN NOT MATCHED THEN INSERT (id, grp, name) VALUES (s.id, {r}, 'i')",
                self.some_ids()
            ),
            7 => {
                self.columns_made += 1;
                let name = format!("x{}", self.columns_made);
                let of = [
                    "bigint",
                    "varchar",
                    "varbinary",
                    "uuid",
                    "time(6)",
                    "array(integer)",
                    "map(varchar, bigint)",
                    "row(p integer, q varchar)",
                    "decimal(38,10)",
                    "date",
                ];
                let of = of[self.dice.throw(of.len() as u64) as usize];
                self.extra.push(name.clone());
                format!("ALTER TABLE {table} ADD COLUMN {name} {of}")
            }
            8 if !self.extra.is_empty() => {
                let at = self.dice.throw(self.extra.len() as u64) as usize;
                self.columns_made += 1;
                let (old, new) = (self.extra[at].clone(), format!("r{}", self.columns_made));
                self.extra[at].clone_from(&new);
                format!("ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
            }
            9 if !self.extra.is_empty() => {
                let at = self.dice.throw(self.extra.len() as u64) as usize;
                format!("ALTER TABLE {table} DROP COLUMN {}", self.extra.swap_remove(at))
            }
            10 if !self.wide => {
                self.wide = true;
                // Trino 476 fails on a filter on a column that was widened (`Integer cannot be cast to Long`) until the next snapshot.
                self.next_id += 1;
                return vec![
                    format!("ALTER TABLE {table} ALTER COLUMN grp SET DATA TYPE bigint"),
                    format!("INSERT INTO {table} (id, grp, name) VALUES ({}, 3, 'wide')", self.next_id - 1),
                ];
            }
            11 => format!("ALTER TABLE {table} EXECUTE optimize"),
            12 => format!("ALTER TABLE {table} EXECUTE expire_snapshots(retention_threshold => '0s')"),
            _ => return Vec::new(),
        };
        vec![one]
    }

    fn some_ids(&mut self) -> String {
        let mut ids = String::new();
        let first = self.dice.throw(self.next_id);
        for n in 0..4 {
            let _ = write!(ids, "{}({})", if n > 0 { ", " } else { "" }, first + n * 3);
        }
        self.next_id = self.next_id.max(first + 12);
        ids
    }
}

/// Plays the rounds; every step is checked by Trino's rows, every round's end by PyIceberg's too, and by filters.
async fn play(kept: Kept, rounds: usize, steps: usize) {
    let seed = std::env::var("ICEHAUL_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 | 1);
    eprintln!("the rounds on {kept:?} are those of ICEHAUL_TEST_SEED={seed}");
    let house = House::new(kept).await;
    let (mut trino, mut pyiceberg) = (None, None);
    let partitions = [
        json!([]),
        json!(["grp"]),
        json!(["month(at)"]),
        json!(["bucket(4, id)"]),
        json!(["truncate(2, name)", "grp"]),
    ];
    for number in 0..rounds {
        let mut round = Round {
            house: &house,
            dice: Dice(seed.wrapping_add((number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1),
            table: format!("raw.t{number}"),
            partition_by: partitions[number % partitions.len()].clone(),
            extra: Vec::new(),
            wide: false,
            next_id: 1,
            columns_made: 0,
        };
        let table = round.table.clone();
        let mut done = vec![round.load().await];
        for _ in 0..steps {
            let statements = if round.dice.throw(4) == 0 { Vec::new() } else { round.statements() };
            if statements.is_empty() {
                done.push(round.load().await);
            }
            for sql in statements {
                house.run(&sql).await;
                done.push(sql);
            }
            if trino.is_none() {
                trino = Some(house.engine("trino").await);
                pyiceberg = Some(house.engine("pyiceberg").await);
            }
            let what = || format!("seed {seed}, round {number}:\n  {}", done.join("\n  "));
            if let Some(engine) = &mut trino {
                house.agrees(engine, &table, &what()).await;
            }
            for filter in ["grp = 3", "grp < 2 AND id > 5", "id % 2 = 0", "name LIKE 't%'", "amount IS NULL"] {
                let sql = |table: &str| format!("SELECT count(*), sum(id), min(name) FROM {table} WHERE {filter}");
                let theirs = house.rows(&sql(&format!("{{}}.{table}"))).await;
                assert_eq!(house.icehaul.rows(&sql(&table)).await, theirs, "{filter}: {}", what());
            }
        }
        if let Some(engine) = &mut pyiceberg {
            house.agrees(engine, &table, &format!("seed {seed}, round {number}:\n  {}", done.join("\n  "))).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_ten_rounds_of_random_steps_on_postgresql() {
    play(Kept::Postgres, 10, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_rounds_of_random_steps_on_sqlite() {
    play(Kept::Sqlite, 3, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_rounds_of_random_steps_on_s3() {
    play(Kept::S3, 2, 6).await;
}
