// SPDX-License-Identifier: MIT
// The goroutine equivalents of tokio-micro's operations, same names, one JSON
// line each: go-micro -workers N [-only PREFIX,..] [-secs S] [-mem-tasks N]
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	workers  = flag.Int("workers", 1, "GOMAXPROCS")
	only     = flag.String("only", "", "")
	secs     = flag.Float64("secs", 1, "")
	label    = flag.String("label", "go", "")
	memTasks = flag.Int("mem-tasks", 1000000, "")
)

func wanted(name string) bool {
	if *only == "" {
		return true
	}
	for _, p := range strings.Split(*only, ",") {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func cpuNs() int64 {
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return ru.Utime.Nano() + ru.Stime.Nano()
}

func line(name string, value float64, unit, extra string) {
	fmt.Printf("{\"peer\":\"%s\",\"rt\":\"mt%d\",\"name\":\"%s\",\"value\":%.2f,\"unit\":\"%s\"%s}\n",
		*label, *workers, name, value, unit, extra)
}

func bench(name string, f func() int) {
	if !wanted(name) {
		return
	}
	for t := time.Now(); time.Since(t).Seconds() < *secs*0.15; {
		f()
	}
	t0, c0 := time.Now(), cpuNs()
	ops, batches, best := 0, 0, 1e18
	for time.Since(t0).Seconds() < *secs {
		t := time.Now()
		n := f()
		if d := float64(time.Since(t).Nanoseconds()) / float64(n); d < best {
			best = d
		}
		ops += n
		batches++
	}
	line(name, float64(time.Since(t0).Nanoseconds())/float64(ops), "ns/op",
		fmt.Sprintf(",\"best\":%.2f,\"cpu\":%.2f,\"ops\":%d,\"batches\":%d", best, float64(cpuNs()-c0)/float64(ops), ops, batches))
}

func rss() float64 {
	b, _ := os.ReadFile("/proc/self/smaps_rollup")
	for _, l := range strings.Split(string(b), "\n") {
		var kb float64
		if n, _ := fmt.Sscanf(l, "Rss: %f kB", &kb); n == 1 {
			return kb * 1024
		}
	}
	return 0
}

type rng uint64

func (r *rng) next() uint64 {
	x := uint64(*r)
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	*r = rng(x)
	return x * 0x2545F4914F6CDD1D
}

func main() {
	flag.Parse()
	runtime.GOMAXPROCS(*workers)
	const many = 10000

	bench("spawn_join", func() int {
		for i := 0; i < 1000; i++ {
			c := make(chan struct{})
			go func() { close(c) }()
			<-c
		}
		return 1000
	})
	bench("spawn_many_local", func() int {
		var rem int64 = many
		done := make(chan struct{})
		for i := 0; i < many; i++ {
			go func() {
				if atomic.AddInt64(&rem, -1) == 0 {
					close(done)
				}
			}()
		}
		<-done
		return many
	})
	bench("spawn_many_local_join", func() int {
		var wg sync.WaitGroup
		wg.Add(many)
		for i := 0; i < many; i++ {
			go wg.Done()
		}
		wg.Wait()
		return many
	})
	bench("yield_many", func() int {
		var wg sync.WaitGroup
		wg.Add(1000)
		for i := 0; i < 1000; i++ {
			go func() {
				for j := 0; j < 1000; j++ {
					runtime.Gosched()
				}
				wg.Done()
			}()
		}
		wg.Wait()
		return 1000000
	})
	bench("yield_one", func() int {
		for j := 0; j < 10000; j++ {
			runtime.Gosched()
		}
		return 10000
	})
	bench("ping_pong", func() int {
		var rem int64 = 1000
		done := make(chan struct{})
		for i := 0; i < 1000; i++ {
			go func() {
				a, b := make(chan struct{}, 1), make(chan struct{}, 1)
				go func() {
					<-a
					b <- struct{}{}
				}()
				a <- struct{}{}
				<-b
				if atomic.AddInt64(&rem, -1) == 0 {
					close(done)
				}
			}()
		}
		<-done
		return 1000
	})
	var chain func(done chan struct{}, n int)
	chain = func(done chan struct{}, n int) {
		if n == 0 {
			close(done)
		} else {
			go chain(done, n-1)
		}
	}
	bench("chained_spawn", func() int {
		done := make(chan struct{})
		chain(done, 1000)
		<-done
		return 1000
	})
	for _, p := range []int{1, 8} {
		bench(fmt.Sprintf("mpsc_bounded_%dp", p), func() int {
			const msgs = 80000
			c := make(chan int, 1000)
			var wg sync.WaitGroup
			wg.Add(p)
			for k := 0; k < p; k++ {
				go func(k int) {
					for i := 0; i < msgs/p; i++ {
						c <- k + i
					}
					wg.Done()
				}(k)
			}
			for i := 0; i < msgs; i++ {
				<-c
			}
			wg.Wait()
			return msgs
		})
	}
	bench("mpsc_ping_pong", func() int {
		a, b := make(chan int, 1), make(chan int, 1)
		go func() {
			for v := range a {
				b <- v
			}
		}()
		for i := 0; i < 10000; i++ {
			a <- i
			<-b
		}
		close(a)
		return 10000
	})
	bench("oneshot", func() int {
		for i := 0; i < 10000; i++ {
			c := make(chan int, 1)
			c <- i
			<-c
		}
		return 10000
	})
	bench("mutex_uncontended", func() int {
		var m sync.Mutex
		n := 0
		for i := 0; i < 100000; i++ {
			m.Lock()
			n++
			m.Unlock()
		}
		return 100000
	})
	bench("mutex_100", func() int {
		var m sync.Mutex
		var wg sync.WaitGroup
		n := 0
		wg.Add(100)
		for k := 0; k < 100; k++ {
			go func() {
				for i := 0; i < 1000; i++ {
					m.Lock()
					n++
					m.Unlock()
				}
				wg.Done()
			}()
		}
		wg.Wait()
		return 100000
	})
	bench("mutex_100_handoff", func() int {
		var m sync.Mutex
		var wg sync.WaitGroup
		n := 0
		wg.Add(100)
		for k := 0; k < 100; k++ {
			go func() {
				for i := 0; i < 100; i++ {
					m.Lock()
					runtime.Gosched()
					n++
					m.Unlock()
				}
				wg.Done()
			}()
		}
		wg.Wait()
		return 10000
	})
	// Go's usual semaphore is a buffered channel.
	bench("semaphore_uncontended", func() int {
		s := make(chan struct{}, 10)
		for i := 0; i < 100000; i++ {
			s <- struct{}{}
			<-s
		}
		return 100000
	})
	bench("semaphore_100_10", func() int {
		s := make(chan struct{}, 10)
		var wg sync.WaitGroup
		wg.Add(100)
		for k := 0; k < 100; k++ {
			go func() {
				for i := 0; i < 100; i++ {
					s <- struct{}{}
					runtime.Gosched()
					<-s
				}
				wg.Done()
			}()
		}
		wg.Wait()
		return 10000
	})
	bench("timer_reg_cancel", func() int {
		r := rng(88172645463325252)
		for i := 0; i < 10000; i++ {
			time.NewTimer(time.Duration(1000000+r.next()%59000000) * time.Microsecond).Stop()
		}
		return 10000
	})
	if wanted("timer_1m") {
		r := rng(88172645463325252)
		base := rss()
		t := time.Now()
		v := make([]*time.Timer, 0, 1000000)
		for i := 0; i < 1000000; i++ {
			// A goroutine-free timer: Go keeps channel timers off its heap until somebody waits, AfterFunc is on it.
			v = append(v, time.AfterFunc(time.Duration(10000000+r.next()%3590000000)*time.Microsecond, func() {}))
		}
		reg := time.Since(t)
		used := rss() - base
		t = time.Now()
		for _, x := range v {
			x.Stop()
		}
		can := time.Since(t)
		line("timer_1m_create", float64(reg.Nanoseconds())/1e6, "ns/op", "")
		line("timer_1m_cancel", float64(can.Nanoseconds())/1e6, "ns/op", "")
		line("timer_1m_bytes", used/1e6, "B/timer", "")
	}
	if wanted("timer_fire_100k") {
		const n = 100000
		c0 := cpuNs()
		r := rng(88172645463325252)
		late := make([]int64, n)
		var wg sync.WaitGroup
		wg.Add(n)
		base := time.Now().Add(200 * time.Millisecond)
		for i := 0; i < n; i++ {
			at := base.Add(time.Duration(r.next()%1000000) * time.Microsecond)
			go func(i int) {
				time.Sleep(time.Until(at))
				late[i] = time.Since(at).Nanoseconds()
				wg.Done()
			}(i)
		}
		wg.Wait()
		cpu := cpuNs() - c0
		sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
		q := func(p float64) float64 { return float64(late[int(float64(n-1)*p)]) / 1000 }
		line("timer_fire_100k", float64(cpu)/n, "cpu-ns/op",
			fmt.Sprintf(",\"late_us_p50\":%.0f,\"late_us_p99\":%.0f,\"late_us_max\":%.0f", q(.5), q(.99), q(1)))
	}
	settle := func(up *int64, n int) {
		for atomic.LoadInt64(up) < int64(n) {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if wanted("mem_task_parked") {
		before, up, n := rss(), int64(0), *memTasks
		block := make(chan struct{})
		for i := 0; i < n; i++ {
			go func() {
				atomic.AddInt64(&up, 1)
				<-block
			}()
		}
		settle(&up, n)
		line("mem_task_parked", (rss()-before)/float64(n), "B/task", fmt.Sprintf(",\"tasks\":%d", n))
	}
	if wanted("mem_task_sleep") {
		before, up, n := rss(), int64(0), *memTasks
		for i := 0; i < n; i++ {
			go func() {
				atomic.AddInt64(&up, 1)
				time.Sleep(time.Hour)
			}()
		}
		settle(&up, n)
		line("mem_task_sleep", (rss()-before)/float64(n), "B/task", fmt.Sprintf(",\"tasks\":%d", n))
	}
}
