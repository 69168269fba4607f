// SPDX-License-Identifier: MIT
//! TCP echo: --port P, --workers N | --current-thread, --buf BYTES (16384),
//! --lazy (wait for readiness and read into one buffer per thread, so that an
//! idle connection holds no buffer: shows the runtime's own bytes).
use std::cell::RefCell;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_peers::{runtime, Args};

async fn echo(mut s: TcpStream, size: usize) -> std::io::Result<()> {
    s.set_nodelay(true)?;
    let mut buf = vec![0u8; size];
    loop {
        let n = s.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        s.write_all(&buf[..n]).await?;
    }
}

thread_local! {
    static BUF: RefCell<Vec<u8>> = RefCell::new(vec![0; 65536]);
}

async fn echo_lazy(mut s: TcpStream, size: usize) -> std::io::Result<()> {
    s.set_nodelay(true)?;
    loop {
        s.readable().await?;
        // The rest that the socket would not take at once, if any.
        let rest = BUF.with(|b| -> std::io::Result<Option<Vec<u8>>> {
            let mut b = b.borrow_mut();
            let n = match s.try_read(&mut b[..size]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            };
            let w = match s.try_write(&b[..n]) {
                Ok(w) => w,
                Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
                Err(e) => return Err(e),
            };
            Ok(if w < n { Some(b[w..n].to_vec()) } else { None })
        })?;
        if let Some(r) = rest {
            s.write_all(&r).await?;
        }
    }
}

fn main() {
    let a = Args::new();
    let port = a.num("--port", 7000) as u16;
    let size = a.num("--buf", 16384).min(65536);
    let lazy = a.flag("--lazy");
    let (rt, _) = runtime(&a);
    let accept = async move {
        let l = TcpListener::bind(("127.0.0.1", port)).await.expect("bind");
        println!("listening {port}");
        loop {
            match l.accept().await {
                Ok((s, _)) => {
                    if lazy {
                        tokio::spawn(async move {
                            let _ = echo_lazy(s, size).await;
                        });
                    } else {
                        tokio::spawn(async move {
                            let _ = echo(s, size).await;
                        });
                    }
                }
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        }
    };
    rt.block_on(async move { tokio::spawn(accept).await.unwrap() });
}
