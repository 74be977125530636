//! The surroundings of an attempt, for tests that call a part of a job themselves.
use std::{collections::BTreeMap, sync::Arc};

use icehaul_jobs::{Ctx, Stop};
use icehaul_lake::Lakes;

/// A first and only attempt, without catalogs, connections, folders, sites or a queue.
#[must_use]
pub fn ctx() -> Ctx {
    Ctx {
        job: uuid::Uuid::now_v7(),
        attempt: 1,
        max_attempts: 1,
        epoch: 1,
        lakes: Lakes::new(BTreeMap::new(), "none".into()),
        connections: Arc::default(),
        file_roots: Arc::default(),
        limits: Arc::default(),
        sites: Arc::default(),
        progress: Arc::default(),
        stop: Stop::default(),
        permission: Arc::new(|| Box::pin(async { true })),
        children: None,
    }
}
