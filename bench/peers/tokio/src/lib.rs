// SPDX-License-Identifier: MIT
//! What the three programs share: flags, the runtime they ask for, /proc reading.
use std::fs;
use tokio::runtime::{Builder, Runtime};

pub struct Args {
    v: Vec<String>,
}

impl Args {
    pub fn new() -> Args {
        Args { v: std::env::args().skip(1).collect() }
    }
    pub fn flag(&self, name: &str) -> bool {
        self.v.iter().any(|a| a == name)
    }
    pub fn get(&self, name: &str) -> Option<&str> {
        let i = self.v.iter().position(|a| a == name)?;
        Some(self.v.get(i + 1).unwrap_or_else(|| die(&format!("{name} needs a value"))))
    }
    pub fn num(&self, name: &str, default: usize) -> usize {
        match self.get(name) {
            None => default,
            Some(s) => s.parse().unwrap_or_else(|_| die(&format!("{name}: not a number: {s}"))),
        }
    }
}

pub fn die(msg: &str) -> ! {
    eprintln!("{msg}");
    std::process::exit(2)
}

/// `--current-thread`, or `--workers N` (1 unless told).
pub fn runtime(a: &Args) -> (Runtime, String) {
    if a.flag("--current-thread") {
        let rt = Builder::new_current_thread().enable_all().build().unwrap();
        return (rt, "ct".to_string());
    }
    let n = a.num("--workers", 1);
    let rt = Builder::new_multi_thread().worker_threads(n).enable_all().build().unwrap();
    (rt, format!("mt{n}"))
}

/// Resident bytes of this process.
pub fn rss() -> u64 {
    let s = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    for l in s.lines() {
        if let Some(r) = l.strip_prefix("Rss:") {
            return r.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
        }
    }
    0
}

extern "C" {
    fn clock_gettime(id: i32, ts: *mut [i64; 2]) -> i32;
}

/// CPU nanoseconds of the whole process.
pub fn cpu_ns() -> u64 {
    let mut t = [0i64; 2];
    unsafe { clock_gettime(2, &mut t) };
    t[0] as u64 * 1_000_000_000 + t[1] as u64
}

/// xorshift64*
pub struct Rng(pub u64);
impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545F4914F6CDD1D)
    }
}
