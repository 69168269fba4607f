// SPDX-License-Identifier: MIT
//! Micro-benchmarks of the runtime. One JSON line each: name, ns per operation.
//!   tokio-micro --workers N | --current-thread [--only PREFIX[,PREFIX]] [--secs S] [--mem-tasks N]
//! The operations are written down in ../../../MICRO.md; every peer's program
//! runs the same ones under the same names.
use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc, oneshot, watch, Mutex, Notify, Semaphore};
use tokio::task::yield_now;
use tokio::time::{sleep, sleep_until, Sleep};
use tokio_peers::{cpu_ns, rss, runtime, Args, Rng};

struct Ctx {
    rt: Runtime,
    kind: String,
    only: Vec<String>,
    secs: f64,
    label: String,
}

impl Ctx {
    fn wanted(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|p| name.starts_with(p.as_str()))
    }
    fn line(&self, name: &str, value: f64, unit: &str, extra: String) {
        println!(
            "{{\"peer\":\"{}\",\"rt\":\"{}\",\"name\":\"{}\",\"value\":{:.2},\"unit\":\"{}\"{}}}",
            self.label, self.kind, name, value, unit, extra
        );
    }
    /// Runs batches (each returns how many operations it did) for `secs`.
    fn bench(&self, name: &str, mut f: impl FnMut(&Runtime) -> u64) {
        if !self.wanted(name) {
            return;
        }
        let warm = Instant::now();
        while warm.elapsed().as_secs_f64() < self.secs * 0.15 {
            f(&self.rt);
        }
        let (t0, c0) = (Instant::now(), cpu_ns());
        let (mut ops, mut batches, mut best) = (0u64, 0u64, f64::MAX);
        loop {
            let t = Instant::now();
            let n = f(&self.rt);
            let d = t.elapsed().as_nanos() as f64 / n as f64;
            best = best.min(d);
            ops += n;
            batches += 1;
            if t0.elapsed().as_secs_f64() >= self.secs {
                break;
            }
        }
        let ns = t0.elapsed().as_nanos() as f64 / ops as f64;
        let cpu = (cpu_ns() - c0) as f64 / ops as f64;
        self.line(
            name,
            ns,
            "ns/op",
            format!(",\"best\":{best:.2},\"cpu\":{cpu:.2},\"ops\":{ops},\"batches\":{batches}"),
        );
    }
    /// The same with the batch run inside a task (on a worker).
    fn bench_in<F, Fut>(&self, name: &str, f: F)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = u64> + Send + 'static,
    {
        self.bench(name, |rt| rt.block_on(async { tokio::spawn(f()).await.unwrap() }));
    }
}

const MANY: usize = 10_000;

async fn poll_once(s: Pin<&mut Sleep>) {
    let mut s = s;
    poll_fn(|cx| {
        let _ = s.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await
}

fn main() {
    let a = Args::new();
    let (rt, kind) = runtime(&a);
    let c = Ctx {
        rt,
        kind,
        only: a.get("--only").map(|s| s.split(',').map(String::from).collect()).unwrap_or_default(),
        secs: a.get("--secs").map(|s| s.parse().expect("--secs")).unwrap_or(1.0),
        label: a.get("--label").unwrap_or("tokio").to_string(),
    };

    c.bench_in("spawn_join", || async {
        for _ in 0..1000 {
            tokio::spawn(async {}).await.unwrap();
        }
        1000
    });
    c.bench("spawn_join_main", |rt| {
        rt.block_on(async {
            for _ in 0..100 {
                tokio::spawn(async {}).await.unwrap();
            }
        });
        100
    });
    let mut handles = Vec::with_capacity(MANY);
    c.bench("spawn_many_main", |rt| {
        for _ in 0..MANY {
            handles.push(rt.spawn(async {}));
        }
        rt.block_on(async {
            for h in handles.drain(..) {
                h.await.unwrap();
            }
        });
        MANY as u64
    });
    c.bench_in("spawn_many_local", || async {
        let rem = Arc::new(AtomicUsize::new(MANY));
        let done = Arc::new(Notify::new());
        for _ in 0..MANY {
            let (rem, done) = (rem.clone(), done.clone());
            tokio::spawn(async move {
                if rem.fetch_sub(1, AcqRel) == 1 {
                    done.notify_one();
                }
            });
        }
        done.notified().await;
        MANY as u64
    });
    c.bench_in("spawn_many_local_join", || async {
        let mut hs = Vec::with_capacity(MANY);
        for _ in 0..MANY {
            hs.push(tokio::spawn(async {}));
        }
        for h in hs {
            h.await.unwrap();
        }
        MANY as u64
    });
    c.bench_in("yield_many", || async {
        let mut hs = Vec::with_capacity(1000);
        for _ in 0..1000 {
            hs.push(tokio::spawn(async {
                for _ in 0..1000 {
                    yield_now().await;
                }
            }));
        }
        for h in hs {
            h.await.unwrap();
        }
        1_000_000
    });
    c.bench_in("yield_one", || async {
        for _ in 0..10_000 {
            yield_now().await;
        }
        10_000
    });
    c.bench_in("ping_pong", || async {
        let rem = Arc::new(AtomicUsize::new(1000));
        let done = Arc::new(Notify::new());
        for _ in 0..1000 {
            let (rem, done) = (rem.clone(), done.clone());
            tokio::spawn(async move {
                let (tx1, rx1) = oneshot::channel::<()>();
                let (tx2, rx2) = oneshot::channel::<()>();
                tokio::spawn(async move {
                    rx1.await.unwrap();
                    tx2.send(()).unwrap();
                });
                tx1.send(()).unwrap();
                rx2.await.unwrap();
                if rem.fetch_sub(1, AcqRel) == 1 {
                    done.notify_one();
                }
            });
        }
        done.notified().await;
        1000
    });
    fn chain(done: Arc<Notify>, n: usize) {
        if n == 0 {
            done.notify_one();
        } else {
            tokio::spawn(async move { chain(done, n - 1) });
        }
    }
    c.bench_in("chained_spawn", || async {
        let done = Arc::new(Notify::new());
        chain(done.clone(), 1000);
        done.notified().await;
        1000
    });

    const MSGS: usize = 80_000;
    for (name, producers) in [("mpsc_bounded_1p", 1usize), ("mpsc_bounded_8p", 8)] {
        c.bench_in(name, move || async move {
            let (tx, mut rx) = mpsc::channel::<usize>(1000);
            for p in 0..producers {
                let tx = tx.clone();
                tokio::spawn(async move {
                    for i in 0..MSGS / producers {
                        tx.send(p + i).await.unwrap();
                    }
                });
            }
            drop(tx);
            let mut n = 0;
            while rx.recv().await.is_some() {
                n += 1;
            }
            assert_eq!(n, MSGS);
            MSGS as u64
        });
    }
    for (name, producers) in [("mpsc_unbounded_1p", 1usize), ("mpsc_unbounded_8p", 8)] {
        c.bench_in(name, move || async move {
            let (tx, mut rx) = mpsc::unbounded_channel::<usize>();
            for p in 0..producers {
                let tx = tx.clone();
                tokio::spawn(async move {
                    for i in 0..MSGS / producers {
                        tx.send(p + i).unwrap();
                    }
                });
            }
            drop(tx);
            let mut n = 0;
            while rx.recv().await.is_some() {
                n += 1;
            }
            assert_eq!(n, MSGS);
            MSGS as u64
        });
    }
    // One message at a time there and back between two tasks.
    c.bench_in("mpsc_ping_pong", || async {
        let (tx1, mut rx1) = mpsc::channel::<usize>(1);
        let (tx2, mut rx2) = mpsc::channel::<usize>(1);
        tokio::spawn(async move {
            while let Some(v) = rx1.recv().await {
                tx2.send(v).await.unwrap();
            }
        });
        for i in 0..10_000 {
            tx1.send(i).await.unwrap();
            assert_eq!(rx2.recv().await, Some(i));
        }
        10_000
    });
    c.bench_in("oneshot", || async {
        for i in 0..10_000u64 {
            let (tx, rx) = oneshot::channel::<u64>();
            tx.send(i).unwrap();
            assert_eq!(rx.await, Ok(i));
        }
        10_000
    });
    c.bench_in("mutex_uncontended", || async {
        let m = Mutex::new(0u64);
        for _ in 0..100_000 {
            *m.lock().await += 1;
        }
        100_000
    });
    c.bench_in("mutex_100", || async {
        let m = Arc::new(Mutex::new(0u64));
        let mut hs = Vec::new();
        for _ in 0..100 {
            let m = m.clone();
            hs.push(tokio::spawn(async move {
                for _ in 0..1000 {
                    *m.lock().await += 1;
                }
            }));
        }
        for h in hs {
            h.await.unwrap();
        }
        assert_eq!(*m.lock().await, 100_000);
        100_000
    });
    // The holder yields with the lock held: every acquisition is a hand-off.
    c.bench_in("mutex_100_handoff", || async {
        let m = Arc::new(Mutex::new(0u64));
        let mut hs = Vec::new();
        for _ in 0..100 {
            let m = m.clone();
            hs.push(tokio::spawn(async move {
                for _ in 0..100 {
                    let mut g = m.lock().await;
                    yield_now().await;
                    *g += 1;
                }
            }));
        }
        for h in hs {
            h.await.unwrap();
        }
        assert_eq!(*m.lock().await, 10_000);
        10_000
    });
    c.bench_in("semaphore_uncontended", || async {
        let s = Semaphore::new(10);
        for _ in 0..100_000 {
            drop(s.acquire().await.unwrap());
        }
        100_000
    });
    c.bench_in("semaphore_100_10", || async {
        let s = Arc::new(Semaphore::new(10));
        let mut hs = Vec::new();
        for _ in 0..100 {
            let s = s.clone();
            hs.push(tokio::spawn(async move {
                for _ in 0..100 {
                    let p = s.acquire().await.unwrap();
                    yield_now().await;
                    drop(p);
                }
            }));
        }
        for h in hs {
            h.await.unwrap();
        }
        10_000
    });
    c.bench_in("notify_ping_pong", || async {
        let x = Arc::new(Notify::new());
        let y = Arc::new(Notify::new());
        let (x2, y2) = (x.clone(), y.clone());
        let h = tokio::spawn(async move {
            for _ in 0..10_000 {
                x2.notified().await;
                y2.notify_one();
            }
        });
        for _ in 0..10_000 {
            x.notify_one();
            y.notified().await;
        }
        h.await.unwrap();
        10_000
    });
    // One value to 100 receivers, all seen before the next is sent; per receipt.
    c.bench_in("watch_100", || async {
        let (tx, rx) = watch::channel(0usize);
        let left = Arc::new(AtomicUsize::new(0));
        let all = Arc::new(Notify::new());
        for _ in 0..100 {
            let (mut rx, left, all) = (rx.clone(), left.clone(), all.clone());
            tokio::spawn(async move {
                while rx.changed().await.is_ok() {
                    let _ = *rx.borrow_and_update();
                    if left.fetch_sub(1, AcqRel) == 1 {
                        all.notify_one();
                    }
                }
            });
        }
        yield_now().await;
        for i in 1..=100 {
            left.store(100, Release);
            tx.send(i).unwrap();
            all.notified().await;
        }
        10_000
    });
    // 1000 messages to 8 receivers; per receipt.
    c.bench_in("broadcast_8", || async {
        let (tx, rx) = broadcast::channel::<usize>(1024);
        let mut hs = Vec::new();
        for _ in 0..8 {
            let mut rx = tx.subscribe();
            hs.push(tokio::spawn(async move {
                for i in 0..1000 {
                    assert_eq!(rx.recv().await.unwrap(), i);
                }
            }));
        }
        drop(rx);
        for i in 0..1000 {
            tx.send(i).unwrap();
        }
        for h in hs {
            h.await.unwrap();
        }
        8000
    });
    c.bench("spawn_blocking", |rt| {
        rt.block_on(async {
            tokio::spawn(async {
                for _ in 0..100 {
                    tokio::task::spawn_blocking(|| ()).await.unwrap();
                }
            })
            .await
            .unwrap()
        });
        100
    });

    // Register a timer 1..60 s ahead and drop it at once.
    c.bench_in("timer_reg_cancel", || async {
        let mut r = Rng(88172645463325252);
        for _ in 0..10_000 {
            let s = pin!(sleep(Duration::from_micros(1_000_000 + r.next() % 59_000_000)));
            poll_once(s).await;
        }
        10_000
    });
    // One million outstanding at once: ns to register each, ns to cancel each, bytes each.
    if c.wanted("timer_1m") {
        c.rt.block_on(async {
            let label = (c.label.clone(), c.kind.clone());
            let (reg, cancel, bytes) = tokio::spawn(async {
                let mut r = Rng(88172645463325252);
                let base = rss();
                let t = Instant::now();
                let mut v: Vec<Pin<Box<Sleep>>> = Vec::with_capacity(1_000_000);
                for _ in 0..1_000_000 {
                    let mut s = Box::pin(sleep(Duration::from_micros(
                        10_000_000 + r.next() % 3_590_000_000,
                    )));
                    poll_once(s.as_mut()).await;
                    v.push(s);
                }
                let reg = t.elapsed();
                let used = rss() - base;
                let t = Instant::now();
                drop(v);
                (reg, t.elapsed(), used)
            })
            .await
            .unwrap();
            let _ = label;
            c.line("timer_1m_create", reg.as_nanos() as f64 / 1e6, "ns/op", String::new());
            c.line("timer_1m_cancel", cancel.as_nanos() as f64 / 1e6, "ns/op", String::new());
            c.line("timer_1m_bytes", bytes as f64 / 1e6, "B/timer", String::new());
        });
    }
    // 100k tasks, each one sleep to a random deadline 0.2..1.2 s ahead: CPU per timer, lateness.
    if c.wanted("timer_fire_100k") {
        const N: usize = 100_000;
        let c0 = cpu_ns();
        let mut late = c.rt.block_on(async {
            tokio::spawn(async {
                let mut r = Rng(88172645463325252);
                let base = Instant::now() + Duration::from_millis(200);
                let mut hs = Vec::with_capacity(N);
                for _ in 0..N {
                    let at = base + Duration::from_micros(r.next() % 1_000_000);
                    hs.push(tokio::spawn(async move {
                        sleep_until(at.into()).await;
                        let now = Instant::now();
                        // An early wake is a fault, marked by a huge value.
                        now.checked_duration_since(at).map(|d| d.as_nanos() as u64).unwrap_or(u64::MAX)
                    }));
                }
                let mut v = Vec::with_capacity(N);
                for h in hs {
                    v.push(h.await.unwrap());
                }
                v
            })
            .await
            .unwrap()
        });
        let cpu = cpu_ns() - c0;
        late.sort_unstable();
        let q = |p: f64| late[((N - 1) as f64 * p) as usize] as f64 / 1000.0;
        c.line(
            "timer_fire_100k",
            cpu as f64 / N as f64,
            "cpu-ns/op",
            format!(
                ",\"late_us_p50\":{:.0},\"late_us_p99\":{:.0},\"late_us_max\":{:.0}",
                q(0.5),
                q(0.99),
                q(1.0)
            ),
        );
    }
    // RSS per idle task: parked on a one-hour sleep, and parked with no timer.
    let n = a.num("--mem-tasks", 1_000_000);
    if c.wanted("mem_task_parked") {
        let before = rss();
        let up = Arc::new(AtomicUsize::new(0));
        for _ in 0..n {
            let up = up.clone();
            drop(c.rt.spawn(async move {
                up.fetch_add(1, AcqRel);
                std::future::pending::<()>().await
            }));
        }
        c.rt.block_on(async {
            while up.load(Acquire) < n {
                sleep(Duration::from_millis(5)).await;
            }
        });
        let b = (rss() - before) as f64 / n as f64;
        c.line("mem_task_parked", b, "B/task", format!(",\"tasks\":{n}"));
    }
    if c.wanted("mem_task_sleep") {
        let before = rss();
        let up = Arc::new(AtomicUsize::new(0));
        for _ in 0..n {
            let up = up.clone();
            drop(c.rt.spawn(async move {
                up.fetch_add(1, AcqRel);
                sleep(Duration::from_secs(3600)).await
            }));
        }
        c.rt.block_on(async {
            while up.load(Acquire) < n {
                sleep(Duration::from_millis(5)).await;
            }
        });
        let b = (rss() - before) as f64 / n as f64;
        c.line("mem_task_sleep", b, "B/task", format!(",\"tasks\":{n}"));
    }
    c.rt.shutdown_background();
}
