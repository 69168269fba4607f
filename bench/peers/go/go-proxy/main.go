// SPDX-License-Identifier: MIT
// L4 TCP proxy with io.Copy both ways (splice on Linux where Go takes it):
// go-proxy -port P -upstream 127.0.0.1:U -workers N [-nosplice]
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
)

type plainW struct{ io.Writer }
type plainR struct{ io.Reader }

func main() {
	port := flag.Int("port", 7001, "")
	up := flag.String("upstream", "127.0.0.1:7000", "")
	workers := flag.Int("workers", 1, "GOMAXPROCS")
	nosplice := flag.Bool("nosplice", false, "copy through a 32 KiB buffer instead")
	flag.Parse()
	runtime.GOMAXPROCS(*workers)
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening", *port)
	pipe := func(to, from *net.TCPConn) {
		if *nosplice {
			io.Copy(plainW{to}, plainR{from})
		} else {
			io.Copy(to, from)
		}
		to.CloseWrite()
	}
	for {
		c, err := l.Accept()
		if err != nil {
			continue
		}
		go func() {
			defer c.Close()
			u, err := net.Dial("tcp4", *up)
			if err != nil {
				return
			}
			defer u.Close()
			done := make(chan struct{})
			go func() {
				pipe(u.(*net.TCPConn), c.(*net.TCPConn))
				close(done)
			}()
			pipe(c.(*net.TCPConn), u.(*net.TCPConn))
			<-done
		}()
	}
}
