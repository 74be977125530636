//! A fault proxy: passes TCP on, and breaks connections on command.
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A proxy before one server.
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    budget: Arc<AtomicU64>,
}

impl Proxy {
    /// A proxy before `server` that passes everything on.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("address");
        let budget = Arc::new(AtomicU64::new(u64::MAX));
        let shared = budget.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), shared.clone()));
            }
        });
        Self { address, budget }
    }

    /// From now on, all connections together get this many bytes from the server; then every one of them is cut.
    pub fn cut_after(&self, bytes: u64) {
        self.budget.store(bytes, Relaxed);
    }

    /// Passes everything on again, for new connections.
    pub fn heal(&self) {
        self.budget.store(u64::MAX, Relaxed);
    }
}

async fn pass(client: TcpStream, server: String, budget: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
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
    up.abort();
}
