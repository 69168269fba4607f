// SPDX-License-Identifier: MIT
// TCP echo, one goroutine a connection: go-echo -port P -workers N -buf BYTES
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
)

func main() {
	port := flag.Int("port", 7000, "")
	workers := flag.Int("workers", 1, "GOMAXPROCS")
	size := flag.Int("buf", 16384, "")
	flag.Parse()
	runtime.GOMAXPROCS(*workers)
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening", *port)
	for {
		c, err := l.Accept()
		if err != nil {
			continue
		}
		go func() {
			defer c.Close()
			b := make([]byte, *size)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				if _, err = c.Write(b[:n]); err != nil {
					return
				}
			}
		}()
	}
}
