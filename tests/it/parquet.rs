//! Parquet files that others wrote: what arrives is what they hold, by an independent fingerprint; what is broken is told.
use std::{
    fs,
    path::{Path, PathBuf},
};

use icehaul_tests::{engine::Engine, icehaul::Icehaul};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// A server that may read the files of one folder.
struct Stand {
    icehaul: Icehaul,
    folder: PathBuf,
    data: TempDir,
}

impl Stand {
    async fn new() -> Self {
        let data = TempDir::new().expect("a folder");
        let folder = data.path().join("files");
        fs::create_dir(&folder).expect("a folder");
        let roots = [("ICEHAUL_FILE_ROOTS", folder.display().to_string())];
        let icehaul = Icehaul::up(&data.path().join("icehaul"), &roots).await;
        Self { icehaul, folder, data }
    }

    /// Loads files and gives the job's document.
    async fn load(&self, path: &Path, table: &str, verify: &str) -> Value {
        let body =
            json!({"file_path": path.display().to_string(), "table_name": table, "namespace": "raw", "verify": verify});
        self.icehaul.run("/load/file", &body).await
    }

    /// The code with which a load of these bytes fails; nothing of it is published.
    async fn refusal(&self, name: &str, bytes: &[u8]) -> (String, String) {
        let path = self.folder.join(name);
        fs::write(&path, bytes).expect("written");
        let job = self.load(&path, "refused", "none").await;
        assert_eq!(job["status"], "failed", "{name}: {job:#}");
        let left = crate::files_below(&self.data.path().join("icehaul/warehouse"));
        assert!(left.iter().all(|file| !file.contains("/refused/")), "{name}: {left:?}");
        let text = |field: &str| job["error"][field].as_str().expect("text").to_owned();
        (text("code"), text("message"))
    }
}

/// Runs `parquet_files.py` with the Python that has PyArrow.
async fn python(arguments: &[&str]) -> String {
    let python = std::env::var("ICEHAUL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("py");
    let output = Command::new(python).args(arguments).current_dir(scripts).output().await.expect("Python runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Loads every file of a folder and compares what arrived.
async fn arrive_whole(stand: &Stand, folder: &Path) {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("files").map(|file| file.expect("a file").path()).collect();
    files.retain(|file| file.extension().is_some_and(|suffix| suffix == "parquet"));
    files.sort();
    assert!(!files.is_empty());
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let arguments: Vec<&str> =
        ["parquet_files.py", "fingerprints"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let expected: Map<String, Value> = serde_json::from_str(&python(&arguments).await).expect("JSON");
    for (number, (file, name)) in files.iter().zip(&names).enumerate() {
        let job = stand.load(file, &format!("t{number}"), "checksum").await;
        assert_eq!(job["status"], "succeeded", "{name}: {job:#}");
        let fingerprint = job["result"]["fingerprint"].as_str();
        // No rows, no fingerprint.
        if job["result"]["rows_loaded"] != 0 {
            assert_eq!(fingerprint, expected[name].as_str(), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_files_of_all_writers_arrive_whole() {
    let stand = Stand::new().await;
    python(&["parquet_files.py", "make", &stand.folder.display().to_string()]).await;
    arrive_whole(&stand, &stand.folder).await;
}

/// `PyArrow`'s own test data lie in its wheel: files that old versions wrote.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_year_2017_arrive_whole() {
    let stand = Stand::new().await;
    let import = "import pathlib, pyarrow; print(pathlib.Path(pyarrow.__file__).parent / 'tests/data/parquet')";
    let wheel = PathBuf::from(python(&["-c", import]).await);
    for file in fs::read_dir(wheel).expect("PyArrow's test data").map(|file| file.expect("a file").path()) {
        fs::copy(&file, stand.folder.join(file.file_name().expect("a name"))).expect("copied");
    }
    arrive_whole(&stand, &stand.folder).await;
}

/// With every codec, with the pages and encodings of both versions of the format, with and without dictionaries, and moments in all
/// three ways in which Spark stores them.
#[tokio::test(flavor = "multi_thread")]
async fn slow_files_of_spark_arrive_whole() {
    let stand = Stand::new().await;
    let catalog = format!("sqlite:///{}", stand.data.path().join("unused.db").display());
    let mut spark = Engine::start(&["spark", &catalog], &[]).await;
    let codec = |codec: &str| json!({"options": {"compression": codec}});
    let plain = json!({"parquet.enable.dictionary": "false"});
    let second = json!({"parquet.writer.version": "PARQUET_2_0", "parquet.enable.dictionary": "false"});
    let requests = [
        ("uncompressed", codec("none")),
        ("snappy", codec("snappy")),
        ("gzip", codec("gzip")),
        ("zstd", codec("zstd")),
        ("lz4_raw", codec("lz4_raw")),
        ("lz4", codec("lz4")),
        ("plain", json!({"options": plain})),
        ("second", json!({"options": second})),
        ("second-dictionary", json!({"options": {"parquet.writer.version": "PARQUET_2_0"}})),
        ("old-decimals", json!({"options": {}, "legacy": true})),
        ("micros", json!({"options": second, "moments": "TIMESTAMP_MICROS"})),
        ("millis", json!({"options": {"compression": "zstd"}, "moments": "TIMESTAMP_MILLIS"})),
    ];
    for (name, mut request) in requests {
        let folder = stand.data.path().join(name);
        request["parquet"] = folder.display().to_string().into();
        spark.ask(&request).await;
        let mut written: Vec<PathBuf> =
            fs::read_dir(&folder).expect("written").map(|file| file.expect("a file").path()).collect();
        written.retain(|file| file.extension().is_some_and(|suffix| suffix == "parquet"));
        assert_eq!(written.len(), 1, "{name}: {written:?}");
        fs::copy(&written[0], stand.folder.join(format!("spark-{name}.parquet"))).expect("copied");
    }
    arrive_whole(&stand, &stand.folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_files_are_told_so() {
    let stand = Stand::new().await;
    python(&["parquet_files.py", "broken", &stand.folder.display().to_string()]).await;
    let read = |name: &str| fs::read(stand.folder.join(name)).expect(name);
    let sound = read("sound.parquet");
    let end = sound.len();
    let encrypted = [&sound[..end - 1], b"E"].concat();
    let long_footer = [&sound[..end - 8], &u32::MAX.to_le_bytes(), b"PAR1"].concat();
    let garbage = [&sound[..end - 60], &[0xa5; 52], &sound[end - 8..]].concat();
    for (name, bytes, code, says) in [
        ("empty.parquet", &[][..], "empty_source", "no bytes"),
        ("text.parquet", b"id,name\n1,a\n2,b\n3,c\n", "parquet_invalid", "does not end as a Parquet file does"),
        ("cut.parquet", &sound[..end / 2], "parquet_invalid", "cut off"),
        ("encrypted.parquet", &encrypted, "parquet_invalid", "encrypted"),
        ("long.parquet", &long_footer, "parquet_invalid", "its footer claims 4294967295"),
        ("garbage.parquet", &garbage, "parquet_invalid", ""),
        ("rows.parquet", &read("rows.broken"), "parquet_invalid", ""),
        ("crc.parquet", &read("crc.broken"), "parquet_invalid", "checksum"),
        ("nanos.parquet", &read("nanos.broken"), "unrepresentable_value", "row 2, column `at`"),
        ("list.parquet", &read("list.broken"), "cell_too_large", "a row with lists of more than"),
        ("bomb.parquet", &read("bomb.broken"), "decompressed_too_large", "a page that claims"),
        ("twice.parquet", &read("twice.broken"), "duplicate_column", "`a` and `a`"),
    ] {
        let (told, message) = stand.refusal(name, bytes).await;
        assert_eq!(told, code, "{name}: {message}");
        assert!(message.contains(name) && message.contains(says), "{name}: {message}");
    }
    let peak = stand.icehaul.process.peak_bytes();
    assert!(peak < 600 << 20, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_become_one_table() {
    let stand = Stand::new().await;
    python(&["parquet_files.py", "many", &stand.folder.display().to_string()]).await;
    let job = stand.load(&stand.folder.join("*.parquet"), "together", "checksum").await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    assert_eq!((&job["result"]["rows_loaded"], &job["progress"]["rows_total"]), (&json!(9), &json!(9)));
    let rows = stand.icehaul.rows("select n, x, price, only from raw.together order by n").await;
    let text: Vec<String> = rows.iter().map(ToString::to_string).collect();
    assert_eq!(text[0], r#"[1,0.5,"1.1000",null]"#);
    assert_eq!(text[8], r#"[5000000000,2.0,"1234567890.3456","z"]"#);
    fs::copy(stand.folder.join("other"), stand.folder.join("z.parquet")).expect("copied");
    let job = stand.load(&stand.folder.join("*.parquet"), "apart", "none").await;
    assert_eq!(job["error"]["code"], "schema_mismatch");
    let message = job["error"]["message"].as_str().expect("text");
    for part in ["column `n` is", "long", "string", "a.parquet", "z.parquet"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}
