//! Names for the guarded client: what DNS answers is filtered, and only that is connected to, so that a second answer
//! cannot differ from the one that was checked.
use std::{error::Error as StdError, io, net::IpAddr, net::SocketAddr, sync::Arc};

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::{Code, Error, crawl::egress::Egress};

/// How a name becomes addresses.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's way.
#[must_use]
pub fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

pub(super) struct Guarded {
    pub(super) egress: Arc<Egress>,
    pub(super) lookup: Lookup,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, found) = (self.egress.clone(), (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let answers = found.await.map_err(|e| boxed(unknown(e)))?;
            let permitted = egress.filter(answers).map_err(boxed)?;
            Ok(Box::new(permitted.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

fn unknown(error: io::Error) -> Error {
    Error::new(Code::SourceUnreachable, "the host's name has no address").caused_by(error)
}

fn boxed(error: Error) -> Box<dyn StdError + Send + Sync> {
    Box::new(error)
}
