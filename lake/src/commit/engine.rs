//! The loop around the compare-and-swap.
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use iceberg::spec::{SnapshotRef, TableMetadata};
use uuid::Uuid;

use super::{
    Change, Committed, Guard, OPERATION,
    check::{rebase, spec_of_files, still_at},
    cursor::{self, Cursors},
    find,
    snapshot::{Builder, Held, Written, added_paths, metadata_path, next_metadata},
    strays,
};
use crate::{
    Error, Kind, Lake, Result, Target, WrittenFile,
    carry::Carried,
    catalog::Swap,
    failpoint,
    schema::{Base, Plan},
};

/// How long races are retried.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the catalog may be away while the outcome of a swap is unknown.
const DOUBT: Duration = Duration::from_secs(30);
/// The bounds of the wait between tries, in milliseconds.
const WAIT_MS: (u64, u64) = (20, 1000);

/// Publishes `files` in one snapshot, once for the guard's operation.
pub(crate) async fn commit(
    lake: &Lake,
    target: &Target,
    files: &[WrittenFile],
    change: Change,
    guard: &Guard,
    carried: &Carried<'_>,
) -> Result<Committed> {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    let snapshot_id = ((high ^ low) >> 1).cast_signed().max(1);
    let added: Result<Vec<_>> =
        files.iter().map(|file| file.data_file(&target.file_schema, &target.plan.partition)).collect();
    let builder = Builder {
        storage: &lake.storage,
        commit: strays::id_of(&guard.operation),
        snapshot_id,
        added: added?,
        manifest: None,
        carried: &carried.manifests,
        history: carried.history.as_ref(),
        carried_manifests: Vec::new(),
        loose: Vec::new(),
    };
    let mut commit = Commit { lake, target, files, carried, change, guard, builder, doubtful: Vec::new(), attempt: 0 };
    let outcome = commit.run().await;
    commit.clean_up().await;
    outcome
}

struct Commit<'a> {
    lake: &'a Lake,
    target: &'a Target,
    files: &'a [WrittenFile],
    carried: &'a Carried<'a>,
    change: Change,
    guard: &'a Guard,
    builder: Builder<'a>,
    /// Tries whose swap may still happen.
    doubtful: Vec<Try>,
    attempt: usize,
}

/// One try: the state that it is based on and the files that are only its own.
struct Try {
    base: Option<String>,
    location: String,
    written: Written,
    expired: Vec<String>,
    committed: Committed,
}

impl Commit<'_> {
    async fn run(&mut self) -> Result<Committed> {
        let start = Instant::now();
        loop {
            self.attempt += 1;
            match self.try_once().await {
                Ok(Some(committed)) => return Ok(committed),
                // A swap may have happened: until the catalog can be read, nothing is known.
                Err(error) if error.kind() == Kind::CatalogUnavailable && self.in_doubt() => {
                    if start.elapsed() > DOUBT {
                        return Err(error);
                    }
                }
                // Another job's clean-up took an empty directory from under a file that was being made.
                Err(error) if error.kind() == Kind::FileMissing && self.attempt < 4 => {}
                Err(error) => return Err(error),
                Ok(None) if start.elapsed() > PATIENCE => {
                    let message = format!("table `{}` kept changing for two minutes", self.target.spec.name);
                    return Err(Error::new(Kind::CommitConflict, message));
                }
                Ok(None) => {}
            }
            self.wait().await;
        }
    }

    /// One round: look, check, build, ask, swap. `None`: lost or in doubt, look again.
    async fn try_once(&mut self) -> Result<Option<Committed>> {
        let now = self.lake.load(&self.target.spec.name).await?;
        if let Some(snapshot) = now.as_ref().and_then(|now| find(&now.metadata, &self.guard.operation)) {
            let now = now.as_ref().map(|now| now.metadata.as_ref());
            return self.found(&snapshot, now).await.map(Some);
        }
        self.settle(now.as_ref()).await;
        if self.change == Change::Create && now.is_some() {
            let message = format!("there is a table `{}` already", self.target.spec.name);
            return Err(Error::new(Kind::TableExists, message));
        }
        if let Change::Replace(replaced) = &self.change {
            still_at(self.target, replaced, now.as_ref())?;
        }
        let cursors = cursor::moved(self.guard.cursor.as_ref(), &self.change, now.as_ref())?;
        let plan = rebase(self.target, now.as_ref())?;
        if self.is_idle(now.as_ref(), cursors.is_some()).await? {
            return Ok(Some(Committed::nothing()));
        }
        let mut written = Written::default();
        let tried = match self.build(now, plan, cursors.as_ref(), &mut written).await {
            Ok((base, location, expired, committed)) => Try { base, location, written, expired, committed },
            Err(error) => {
                self.remove(&written).await;
                return Err(error);
            }
        };
        self.swap(tried).await
    }

    async fn swap(&mut self, tried: Try) -> Result<Option<Committed>> {
        if let Err(error) = self.permitted().await {
            self.remove(&tried.written).await;
            return Err(error);
        }
        match self.lake.catalog.swap(&self.target.spec.name, tried.base.as_deref(), &tried.location).await {
            Swap::Won => {
                // Tries in doubt stood on the state that this swap has just replaced: they can never win now.
                for lost in std::mem::take(&mut self.doubtful) {
                    self.remove(&lost.written).await;
                }
                self.won(tried).await.map(Some)
            }
            Swap::Lost => {
                self.remove(&tried.written).await;
                Ok(None)
            }
            Swap::Unknown(error) => {
                tracing::warn!(table = %self.target.spec.name, %error, cause = ?std::error::Error::source(&error),
                    "a commit's outcome is unknown; looking for it");
                self.doubtful.push(tried);
                Ok(None)
            }
        }
    }

    async fn permitted(&self) -> Result<()> {
        failpoint::hit("commit.before_swap").await?;
        if !(self.guard.permission)().await {
            let message = format!("the right to commit to table `{}` was withdrawn", self.target.spec.name);
            return Err(Error::new(Kind::GuardRefused, message));
        }
        failpoint::hit("commit.permitted").await
    }

    async fn won(&mut self, tried: Try) -> Result<Committed> {
        self.builder.loose.clear();
        failpoint::hit("commit.after_swap").await?;
        let name = &self.target.spec.name;
        if tried.base.is_none()
            && let Err(error) = self.lake.catalog.ensure_namespace(name.namespace()).await
        {
            // The table's own row names the namespace too.
            tracing::warn!(table = %name, %error, "the namespace was not entered in the catalog");
        }
        for path in &tried.expired {
            self.lake.storage.remove(path).await;
        }
        Ok(tried.committed)
    }

    /// Whether there is nothing to change; `moves` says whether the cursors are.
    async fn is_idle(&self, now: Option<&Base>, moves: bool) -> Result<bool> {
        let Some(now) = now.filter(|_| self.files.is_empty()) else { return Ok(false) };
        Ok(match &self.change {
            Change::Append => true,
            Change::Replace(replaced) => !moves && replaced.files.is_empty(),
            _ => !moves && Held::of(&now.metadata, self.lake.storage.io()).await?.manifests.is_empty(),
        })
    }

    /// Writes everything but the pointer.
    async fn build(
        &mut self,
        now: Option<Base>,
        plan: Plan,
        cursors: Option<&Cursors>,
        written: &mut Written,
    ) -> Result<(Option<String>, String, Vec<String>, Committed)> {
        let (base, metadata) = match (now, &self.target.plan.creates, plan.creates) {
            (Some(now), ..) => (Some(now.location), now.metadata.as_ref().clone()),
            // The ids in the files are those of the table planned when they were written.
            (None, Some(planned), _) => (None, planned.clone()),
            (None, None, fresh) => {
                let gone = || Error::new(Kind::CommitConflict, format!("table `{}` is gone", self.target.spec.name));
                (None, fresh.ok_or_else(gone)?)
            }
        };
        let table = metadata.location().to_owned();
        let directory = format!("{table}/metadata");
        let (properties, is_empty) = (properties(cursors), base.is_none() && self.files.is_empty());
        let entries = self.entries(&properties);
        let (snapshot, next, mut expired) = if let Some(history) = &self.carried.history {
            self.builder.carry(&directory).await?;
            let lists = self.builder.lists(&directory, self.attempt, written).await?;
            let (planned, expired) = next_metadata(metadata, None, None, properties, None)?;
            let next = history.table(&planned, &lists, &entries)?;
            (next.current_snapshot().cloned(), next, expired)
        } else {
            let snapshot = if is_empty && self.change != Change::Create {
                None
            } else {
                let spec = spec_of_files(self.target, &metadata).unwrap_or(&self.target.plan.partition).clone();
                self.builder.added(&directory, &self.target.file_schema, &spec).await?;
                self.builder.carry(&directory).await?;
                let id = plan.schema.schema_id();
                Some(self.builder.snapshot(&metadata, id, &self.change, entries, self.attempt, written).await?)
            };
            let schema = (plan.evolves && base.is_some()).then_some(&plan.schema);
            let (next, expired) = next_metadata(metadata, base.clone(), schema, properties, snapshot.clone())?;
            (snapshot.map(SnapshotRef::new), next, expired)
        };
        let committed = snapshot.map_or_else(Committed::nothing, |snapshot| Committed::of(&snapshot, false));
        if next.properties().get("write.metadata.delete-after-commit.enabled").is_none_or(|value| value != "true") {
            expired.clear();
        }
        let location = metadata_path(&table, base.as_deref(), strays::id_of(&self.guard.operation));
        written.paths.push(location.clone());
        let json = serde_json::to_vec(&next)
            .map_err(|e| Error::new(Kind::Internal, "the table's metadata cannot be written").caused_by(e))?;
        self.lake.storage.write(&location, json).await?;
        Ok((base, location, expired, committed))
    }

    fn entries(&self, properties: &HashMap<String, String>) -> HashMap<String, String> {
        let mut entries: HashMap<_, _> = self.guard.summary.clone().into_iter().collect();
        entries.extend(properties.clone());
        entries.insert(OPERATION.to_owned(), self.guard.operation.clone());
        entries
    }

    /// The operation is in the table: by a swap of ours whose answer was lost, or by an earlier attempt.
    async fn found(&mut self, snapshot: &SnapshotRef, now: Option<&TableMetadata>) -> Result<Committed> {
        let list = snapshot.manifest_list();
        let won = |tried: &Try| tried.written.paths.iter().any(|path| path == list);
        if let Some(index) = self.doubtful.iter().position(won) {
            let winner = self.doubtful.swap_remove(index);
            for lost in std::mem::take(&mut self.doubtful) {
                self.remove(&lost.written).await;
            }
            return self.won(winner).await;
        }
        let mut committed = Committed::of(snapshot, true);
        let Some(now) = now else { return Ok(committed) };
        let used = added_paths(snapshot, now, self.lake.storage.io()).await?;
        let paths = self.files.iter().map(WrittenFile::path);
        committed.unused = paths.filter(|path| !used.contains(*path)).map(str::to_owned).collect();
        Ok(committed)
    }

    /// Tries in doubt whose base is not the table's state any more can never win: their files go.
    async fn settle(&mut self, now: Option<&Base>) {
        let now = now.map(|now| now.location.clone());
        let (open, lost): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.doubtful).into_iter().partition(|t| t.base == now);
        self.doubtful = open;
        for tried in lost {
            self.remove(&tried.written).await;
        }
    }

    fn in_doubt(&self) -> bool {
        !self.doubtful.is_empty()
    }

    /// Removes the added files' manifest if no swap that has happened, or may still happen, made it part of the table.
    async fn clean_up(&mut self) {
        if !self.in_doubt() {
            for path in std::mem::take(&mut self.builder.loose) {
                self.lake.storage.remove(&path).await;
            }
        }
    }

    async fn remove(&self, written: &Written) {
        for path in &written.paths {
            self.lake.storage.remove(path).await;
        }
    }

    /// Exponential, with full jitter.
    async fn wait(&self) {
        let most = WAIT_MS.0.saturating_mul(1 << self.attempt.min(10)).min(WAIT_MS.1);
        tokio::time::sleep(Duration::from_millis(rand::random_range(WAIT_MS.0 / 2..=most))).await;
    }
}

/// The table properties that a commit sets, which its summary repeats: the cursors, if they move.
fn properties(cursors: Option<&Cursors>) -> HashMap<String, String> {
    let text = cursors.map(|cursors| serde_json::json!(cursors).to_string());
    text.map(|text| (cursor::KEY.to_owned(), text)).into_iter().collect()
}
