// SPDX-License-Identifier: MIT
//! L4 TCP proxy with copy_bidirectional: --port P --upstream 127.0.0.1:U
//! --workers N | --current-thread, --buf BYTES (default: tokio's own 8 KiB).
use tokio::io::{copy_bidirectional, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio_peers::{die, runtime, Args};

async fn relay(mut c: TcpStream, up: std::net::SocketAddr, size: usize) -> std::io::Result<()> {
    c.set_nodelay(true)?;
    let mut u = TcpStream::connect(up).await?;
    u.set_nodelay(true)?;
    if size == 0 {
        copy_bidirectional(&mut c, &mut u).await?;
    } else {
        copy_bidirectional_with_sizes(&mut c, &mut u, size, size).await?;
    }
    Ok(())
}

fn main() {
    let a = Args::new();
    let port = a.num("--port", 7001) as u16;
    let size = a.num("--buf", 0);
    let up: std::net::SocketAddr = match a.get("--upstream").unwrap_or("127.0.0.1:7000").parse() {
        Ok(u) => u,
        Err(e) => die(&format!("--upstream: {e}")),
    };
    let (rt, _) = runtime(&a);
    let accept = async move {
        let l = TcpListener::bind(("127.0.0.1", port)).await.expect("bind");
        println!("listening {port}");
        loop {
            match l.accept().await {
                Ok((s, _)) => {
                    tokio::spawn(async move {
                        let _ = relay(s, up, size).await;
                    });
                }
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    };
    rt.block_on(async move { tokio::spawn(accept).await.unwrap() });
}
