//! What Icehaul promises, tested against real servers.
mod postgres;
