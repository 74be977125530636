//! A file of this machine into a bucket.
use std::{sync::Arc, time::Instant};

use futures::TryStreamExt;
use icehaul_lake::{
    failpoint,
    s3::{Bucket, Upload},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Code, Ctx, Error, FieldError, Result, Secret,
    format::Blob,
    job::rounded,
    source::{self, Names, S3Access, check_bucket, check_key},
    spec::{JobOptions, Task},
};

/// A file into a bucket.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UploadS3 {
    /// The file, below one of the configured `file_roots`, as the worker sees it.
    #[schemars(example = &"/data/analysis_results.csv")]
    pub file_path: String,
    /// The bucket.
    #[schemars(example = &"datalake")]
    pub bucket: String,
    /// The object's key. An object that is there is replaced.
    #[schemars(example = &"output/analysis_results.csv")]
    pub key: String,
    /// How the bucket is reached.
    #[serde(flatten)]
    pub access: S3Access,
    /// How the job is run.
    #[serde(flatten)]
    pub options: JobOptions,
}

impl Task for UploadS3 {
    const KIND: &'static str = "upload.s3";

    fn check(&self) -> Vec<FieldError> {
        let mut faults = [self.options.check(), self.access.check()].concat();
        faults.extend(check_bucket("bucket", &self.bucket));
        faults.extend(check_key("key", &self.key, false));
        faults
    }

    fn check_names(&self, names: &Names<'_>) -> Vec<FieldError> {
        let mut faults = self.access.check_names(&self.bucket, names.connections);
        faults.extend(names.roots.place("file_path", &self.file_path).err());
        faults
    }

    fn options(&self) -> &JobOptions {
        &self.options
    }

    fn secrets(&mut self) -> Vec<&mut Secret> {
        self.access.secrets()
    }

    /// A second run sends the same bytes to the same key.
    async fn run(&self, ctx: &Ctx) -> Result<Value> {
        let started = Instant::now();
        ctx.progress.phase("uploading");
        let file = source::one_file("file_path", &self.file_path, ctx).await?;
        let bucket = self.access.bucket(&self.bucket, ctx)?;
        let bytes = file.size();
        ctx.stop.or(self.send(ctx, file, &bucket)).await?;
        let sent = ctx.stop.or(async { Ok(bucket.head(&self.key).await?) }).await?;
        let location = format!("s3://{}/{}", self.bucket, self.key);
        if sent.size != bytes {
            let message =
                format!("`{location}` holds {} bytes instead of {bytes}: someone else writes it too", sent.size);
            return Err(Error::new(Code::SourceChanged, message));
        }
        Ok(json!({
            "status": "success",
            "message": "File uploaded to S3",
            "file": self.file_path,
            "s3_location": location,
            "bytes": bytes,
            "etag": sent.etag,
            "duration_seconds": rounded(started.elapsed()),
        }))
    }
}

impl UploadS3 {
    /// Sends the file; the object appears when all of it is there, or not at all.
    async fn send(&self, ctx: &Ctx, file: Arc<dyn Blob>, bucket: &Bucket) -> Result<()> {
        let mut upload = bucket.upload(&self.key, Some(file.size()));
        match send_all(ctx, file, &mut upload).await {
            Ok(()) => Ok(upload.close().await.map(drop)?),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }
}

async fn send_all(ctx: &Ctx, file: Arc<dyn Blob>, upload: &mut Upload) -> Result<()> {
    let size = file.size();
    let mut chunks = file.stream(0..size);
    while let Some(chunk) = chunks.try_next().await? {
        ctx.progress.add(0, chunk.len() as u64);
        upload.write(chunk).await?;
        failpoint::hit("upload.chunk_sent").await?;
    }
    match (ctx.permission)().await {
        true => Ok(()),
        false => Err(Error::new(Code::LeaseLost, "the job's lease ran out; another worker may hold it")),
    }
}
