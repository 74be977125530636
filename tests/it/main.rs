//! Icehaul's integration tests: one binary, a module per capability, against real servers (`test.sh` starts them).
mod api;
mod crash;
mod load;
mod postgres;
mod tidy;
