#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
compare.py: the TCP/IP stack beside the kernel's loopback and lwIP, in interleaved rounds.

    bench/stack/compare.py BUILD --load bench/peers/out/bin/load [--rounds N]

Each round runs every benchmark of BUILD/bench/stack-gbench once (lwIP with thousands of connections
only in the first round, because it walks a list of connections). It also runs BUILD/bench/weir-echo
on epoll under that load generator (make -C bench/peers), with 64 B on 64 and on 10,000 connections:
the server on the first CPU, the load on the second one. All figures are CPU time of the server for
an operation: the least and the median of the rounds, in ns. The figures for the kernel include its
work in the server's system calls and interrupts, and weir's scheduler; those for the stacks do not.
"""
import argparse
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys

CONNECTIONS = [64, 10000]


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **more).stdout


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])


def stack(build, figures, all_of_them):
    out = run(['taskset', '-c', '1', build + '/bench/stack-gbench', '--benchmark_format=json',
               '--benchmark_min_time=0.05',
               '--benchmark_filter=' + ('.' if all_of_them else '-lwip/10000?0?/')])
    for line in json.loads(out)['benchmarks']:
        if line.get('error_occurred'):
            sys.exit(line['name'] + ': ' + line['error_message'])
        name = line['name'].removesuffix('/manual_time')
        figures.setdefault(name, []).append(1e9 * line['s/op'])
        figures.setdefault(name + ' client', []).append(1e9 * line['client'])


def kernel(build, load, connections, figures):
    port = free_port()
    server = subprocess.Popen(['taskset', '-c', '0', build + '/bench/weir-echo', '--workers', '1',
                               '--port', port, '--backend', 'epoll'], stdout=subprocess.PIPE,
                              text=True)
    try:
        server.stdout.readline()
        out = run(['taskset', '-c', '1', load, '--port', port, '--conns', str(connections),
                   '--size', '64', '--secs', '1', '--pid', str(server.pid)])
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
    figures.setdefault('requests/kernel/%d' % connections, []).append(
        1e3 * json.loads(out)['cpu_us'])


def table(figures):
    print('| CPU ns of the server, an operation | least | median | client, median |')
    print('|---|---:|---:|---:|')
    for name, values in figures.items():
        if name.endswith(' client'):
            continue
        client = figures.get(name + ' client')
        print('| %s | %.0f | %.0f | %s |' % (name, min(values), statistics.median(values),
                                             '%.0f' % statistics.median(client) if client else ''))


def ratio(figures, a, b):
    pairs = [x / y for x, y in zip(figures[a], figures[b])]
    print('%s / %s: %.2f (%.2f to %.2f)' % (a, b, statistics.median(pairs), min(pairs),
                                            max(pairs)))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build')
    parser.add_argument('--load', required=True)
    parser.add_argument('--rounds', type=int, default=7)
    args = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    figures = {}
    for i in range(args.rounds):
        steps = [lambda: stack(args.build, figures, i == 0)]
        steps += [lambda n=n: kernel(args.build, os.path.abspath(args.load), n, figures)
                  for n in CONNECTIONS]
        for step in steps if i % 2 == 0 else reversed(steps):
            step()
    table(figures)
    for n in CONNECTIONS:
        ratio(figures, 'requests/copy/%d' % n, 'requests/kernel/%d' % n)
        ratio(figures, 'requests/lent/%d' % n, 'requests/kernel/%d' % n)
    for server in ['copy', 'lent', 'kernel']:
        ratio(figures, 'requests/%s/64' % server, 'requests/%s/10000' % server)


main()
