//! The scripts: each is one move of a job, whole or not at all.
use std::sync::LazyLock;

use ::redis::Script;

macro_rules! scripts {
    ($($name:ident $file:literal;)*) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("lua/common.lua"), include_str!(concat!("lua/", $file)))));)*
    };
}

scripts! {
    ENQUEUE "enqueue.lua";
    CLAIM "claim.lua";
    HEARTBEAT "heartbeat.lua";
    CONFIRM "confirm.lua";
    FINISH "finish.lua";
    CANCEL "cancel.lua";
    RETRY "retry.lua";
    SWEEP "sweep.lua";
    HOST "host.lua";
    AUDITED "audited.lua";
    CONFIGURED "configured.lua";
}
