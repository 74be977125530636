//! What the integration tests stand on: real servers and processes on private ports, and a fault proxy.
pub mod icehaul;
pub mod postgres;
pub mod proxy;
