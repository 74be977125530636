//! A file in the making, here or in a bucket.
use async_trait::async_trait;
use bytes::Bytes;
use iceberg::io::FileWrite;

use super::fault::foreign;
use crate::s3::Upload;

/// A new file. One in a bucket is nowhere to be seen before it is finished, and sends its parts beside what the caller does.
pub(crate) struct Output(Kind);

enum Kind {
    Local(Box<dyn FileWrite>),
    /// Nothing once it is finished.
    Object(Option<Box<Upload>>),
}

impl Output {
    pub(super) fn local(file: Box<dyn FileWrite>) -> Self {
        Self(Kind::Local(file))
    }

    pub(super) fn object(upload: Upload) -> Self {
        Self(Kind::Object(Some(Box::new(upload))))
    }

    /// The bytes that wait in memory until they are enough to be sent.
    pub(crate) fn waiting(&self) -> usize {
        match &self.0 {
            Kind::Object(Some(upload)) => upload.waiting(),
            Kind::Object(None) | Kind::Local(_) => 0,
        }
    }

    /// Takes more bytes.
    pub(crate) async fn put(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        match &mut self.0 {
            Kind::Local(file) => file.write(bytes).await,
            Kind::Object(Some(upload)) => upload.write(bytes).await.map_err(foreign),
            Kind::Object(None) => Err(finished()),
        }
    }

    /// Makes the file last.
    pub(crate) async fn finish(&mut self) -> iceberg::Result<()> {
        match &mut self.0 {
            Kind::Local(file) => file.close().await,
            Kind::Object(upload) => {
                let upload = upload.take().ok_or_else(finished)?;
                upload.close().await.map(drop).map_err(foreign)
            }
        }
    }
}

fn finished() -> iceberg::Error {
    iceberg::Error::new(iceberg::ErrorKind::DataInvalid, "the file is finished")
}

#[async_trait]
impl FileWrite for Output {
    async fn write(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        self.put(bytes).await
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        self.finish().await
    }
}
