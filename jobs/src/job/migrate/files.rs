//! Copies of files as they are.
use std::sync::Arc;

use icehaul_lake::{Carry, CopiedFile, Target};
use tokio::task::JoinSet;

use super::{History, evidence::Evidence, migration::Migration};
use crate::{
    Code, Error, Result,
    report::{FileCompared, FilesCompared},
};

/// Files under way, each with its number.
pub(super) type Tasks<T> = JoinSet<Result<(usize, T)>>;

/// The copies of a table's files.
pub(super) struct Copies {
    pub carry: Arc<Carry>,
    /// In the order of [`Carry::files`]; nothing where nothing is left.
    pub files: Vec<Option<CopiedFile>>,
    pub rows: u64,
}

impl Migration<'_> {
    /// Copies all files, some side by side.
    pub async fn copy_files(
        &self,
        carry: &Arc<Carry>,
        target: &Arc<Target>,
        rows: u64,
        tasks: &mut Tasks<Option<CopiedFile>>,
    ) -> Result<Copies> {
        let bytes: Vec<u64> = carry.files().map(|file| file.bytes).collect();
        self.ctx.progress.planned(bytes.len() as u64, Some(rows));
        self.ctx.progress.phase("copying");
        let prefix = self.prefix();
        let files = each(tasks, bytes.len(), self.ctx.limits.parallelism, |number| {
            let (carry, target, prefix) = (carry.clone(), target.clone(), prefix.clone());
            let (progress, bytes) = (self.ctx.progress.clone(), bytes[number]);
            async move {
                let copied = carry.copy(number, &target, &prefix).await?;
                progress.add(0, bytes);
                progress.split_done();
                Ok(copied)
            }
        });
        Ok(Copies { carry: carry.clone(), files: files.await?, rows })
    }

    /// Reads the copies back and compares their bytes with what was read of the source.
    pub async fn prove_files(
        &self,
        copies: &Copies,
        target: &Arc<Target>,
        evidence: &mut Evidence,
        tasks: &mut Tasks<Option<String>>,
    ) -> Result<()> {
        self.ctx.progress.phase("verifying");
        let validate = self.request.manner.validate;
        let there = each(tasks, copies.files.len(), self.ctx.limits.parallelism, |number| {
            let (file, target) = (copies.files[number].clone(), target.clone());
            async move {
                match file.filter(|_| validate) {
                    Some(file) => Ok(Some(target.sha256(&file).await?)),
                    None => Ok(None),
                }
            }
        });
        let there = there.await?;
        let all = copies.carry.files().zip(&copies.files).zip(there);
        let compared = all.filter_map(|((source, copy), there)| {
            let copy = copy.as_ref()?;
            Some(FileCompared {
                source: source.path.to_owned(),
                destination: copy.path.clone(),
                content: FileCompared::content_of(source.content).to_owned(),
                bytes: copy.bytes,
                sha256: copy.sha256.clone(),
                sha256_read_back: there,
                rewritten: copy.rewritten,
            })
        });
        let compared: Vec<_> = compared.collect();
        let left_out = (copies.files.len() - compared.len()) as u64;
        let snapshots = (self.request.manner.history == History::All).then(|| copies.carry.snapshots());
        evidence.files(FilesCompared::of(compared, left_out), copies.rows, snapshots);
        match evidence.differences() {
            [] => Ok(()),
            found => {
                let message = format!("nothing was published, copies differ: {}", found.join("; "));
                Err(Error::new(Code::VerificationFailed, message))
            }
        }
    }
}

/// Does something for each number, `width` of them side by side, and gives what came of it in their order.
async fn each<T, F>(tasks: &mut Tasks<T>, count: usize, width: usize, start: impl Fn(usize) -> F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut done: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let mut numbers = 0..count;
    loop {
        while tasks.len() < width.max(1)
            && let Some(number) = numbers.next()
        {
            let work = start(number);
            tasks.spawn(async move { Ok((number, work.await?)) });
        }
        let Some(ended) = tasks.join_next().await else { break };
        let (number, value) =
            ended.map_err(|e| Error::new(Code::Internal, "a copier of files panicked").caused_by(e))??;
        done[number] = Some(value);
    }
    Ok(done.into_iter().flatten().collect())
}
