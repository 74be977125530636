//! One file's bytes, there and back.
use iceberg::{
    io::{FileIO, FileRead},
    spec::{DataContentType, DataFile},
};
use sha2::{Digest, Sha256};

use super::{Carry, Item, manifests::renamed, positions};
use crate::{Error, Kind, Result, Target, storage::failed};

/// How much of a file is read at once.
const CHUNK: u64 = 8 << 20;

/// A file's copy.
#[derive(Clone, Debug)]
pub struct CopiedFile {
    /// Where it lies.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of what was written, in hexadecimal.
    pub sha256: String,
    /// It was written anew, because it names other files.
    pub rewritten: bool,
    /// As manifests have it; statistics are in none.
    pub(super) file: Option<DataFile>,
}

impl Carry {
    /// Copies the file of that number (its place in [`Carry::files`]) below `prefix`; `None` if nothing of it is left: places of
    /// rows in files that are gone.
    ///
    /// # Errors
    /// [`Kind::FileMissing`], [`Kind::FileDamaged`], [`Kind::StorageFull`], [`Kind::StorageUnavailable`].
    pub async fn copy(&self, number: usize, target: &Target, prefix: &str) -> Result<Option<CopiedFile>> {
        let gone = || Error::new(Kind::Internal, format!("table {} has no file of number {number}", self.name));
        let item = self.items.get(number).ok_or_else(gone)?;
        let path = self.path(item.path(), target, prefix).ok_or_else(gone)?;
        let file = match item {
            Item::Table(file) if file.content_type() == DataContentType::PositionDeletes => {
                return positions::rewrite(self, file, path, target, prefix).await;
            }
            Item::Table(file) => Some(renamed(file, &path)?),
            Item::Statistics { .. } => None,
        };
        let sha256 = self.bytes(item, &path, target).await?;
        Ok(Some(CopiedFile { file, path, bytes: item.bytes(), sha256, rewritten: false }))
    }

    /// Where the copy of a file lies.
    pub(super) fn path(&self, source: &str, target: &Target, prefix: &str) -> Option<String> {
        let number = self.numbers.get(source)?;
        let name = source.rsplit('/').next().filter(|name| !name.is_empty())?;
        // Long names stay short enough for every file system.
        let name: String = name.chars().rev().take(120).collect::<Vec<_>>().into_iter().rev().collect();
        Some(format!("{}/{prefix}/{number:08}-{name}", target.data()))
    }

    /// Copies the bytes and gives their SHA-256.
    async fn bytes(&self, item: &Item, path: &str, target: &Target) -> Result<String> {
        let (source, size) = (item.path(), item.bytes());
        let found = async { self.io.new_input(source)?.metadata().await };
        let found = found.await.map_err(|e| failed("look at", source, e))?.size;
        if found != size {
            let message = format!("table {} names `{source}` with {size} bytes, and it has {found}", self.name);
            return Err(Error::new(Kind::FileDamaged, message));
        }
        let reader = open(&self.io, source).await?;
        let mut out = target.storage.create(path).await?;
        let (mut hash, mut at) = (Sha256::new(), 0);
        while at < size {
            let end = (at + CHUNK).min(size);
            let chunk = reader.read(at..end).await.map_err(|e| failed("read", source, e))?;
            hash.update(&chunk);
            out.put(chunk).await.map_err(|e| failed("write", path, e))?;
            at = end;
        }
        out.finish().await.map_err(|e| failed("write", path, e))?;
        Ok(crate::write::hex(&hash.finalize()))
    }
}

impl Target {
    /// The SHA-256 of a written file as it lies there.
    ///
    /// # Errors
    /// [`Kind::FileMissing`], [`Kind::StorageUnavailable`].
    pub async fn sha256(&self, file: &CopiedFile) -> Result<String> {
        let reader = open(self.storage.io(), &file.path).await?;
        let (mut hash, mut at) = (Sha256::new(), 0);
        while at < file.bytes {
            let end = (at + CHUNK).min(file.bytes);
            hash.update(reader.read(at..end).await.map_err(|e| failed("read", &file.path, e))?);
            at = end;
        }
        Ok(crate::write::hex(&hash.finalize()))
    }
}

async fn open(io: &FileIO, path: &str) -> Result<Box<dyn FileRead>> {
    let opened = async { io.new_input(path)?.reader().await };
    opened.await.map_err(|e| failed("open", path, e))
}
