//! A fault proxy: passes TCP on, and breaks connections on command.
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A proxy before one server.
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    budget: Arc<AtomicU64>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    cuts: watch::Sender<u64>,
}

/// What happens to a new connection instead of being passed on.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The first request is answered with this, whatever it is, and the connection is closed.
    Answer(&'static str),
    /// Nothing is ever answered.
    Stall,
}

/// The answer of an object store that has too much to do.
pub const SLOW_DOWN: Fault = Fault::Answer(
    "HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 65\r\n\r\n\
     <Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>",
);

impl Proxy {
    /// A proxy before `server` that passes everything on.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("address");
        let budget = Arc::new(AtomicU64::new(u64::MAX));
        let faults: Arc<Mutex<VecDeque<Fault>>> = Arc::default();
        let (cuts, cut) = watch::channel(0);
        let (shared, next) = (budget.clone(), faults.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let fault = next.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let (server, budget, mut cut) = (server.clone(), shared.clone(), cut.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve(client, server, budget, fault) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, budget, faults, cuts }
    }

    /// From now on, all connections together get this many bytes from the server; then every one of them is cut.
    pub fn cut_after(&self, bytes: u64) {
        self.budget.store(bytes, Relaxed);
    }

    /// Passes everything on again, for new connections.
    pub fn heal(&self) {
        self.budget.store(u64::MAX, Relaxed);
    }

    /// Cuts all connections that there are; the next ones meet these faults, one each.
    pub fn cut(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).extend(faults);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many of the faults are still to come.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn serve(mut client: TcpStream, server: String, budget: Arc<AtomicU64>, fault: Option<Fault>) {
    match fault {
        None => pass(client, server, budget).await,
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Answer(answer)) => {
            let mut request = vec![0; 64 * 1024];
            if let Ok(1..) = client.read(&mut request).await
                && client.write_all(answer.as_bytes()).await.is_ok()
            {
                // Closed before the request is read to its end, the connection would be reset and the answer lost.
                while let Ok(1..) = client.read(&mut request).await {}
            }
        }
    }
}

async fn pass(client: TcpStream, server: String, budget: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async move { tokio::io::copy(&mut from_client, &mut to_server).await };
    let down = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            let left = budget.load(Relaxed);
            let pass = (read as u64).min(left) as usize;
            if left != u64::MAX {
                budget.fetch_sub(pass as u64, Relaxed);
            }
            if to_client.write_all(&buffer[..pass]).await.is_err() || pass < read {
                break;
            }
        }
    };
    tokio::pin!(up, down);
    tokio::select! {
        () = &mut down => {}
        // The client has said all; what the server still answers is passed on.
        _ = &mut up => down.await,
    }
}
