//! What the integration tests stand on: real servers, real processes, a fault proxy.
pub mod icehaul;
pub mod proxy;
