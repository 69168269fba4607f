#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
policies.py: compares each scheduling option with its default.

    bench/policies.py build-release/bench/weir-micro [--rounds N] [--secs S] [--workers N]
                      [--only OPTION[;OPTION]] [--against OTHER_MICRO]
    bench/policies.py build-release/tools/weir --load bench/peers/out/bin/load
                      [the same options, except --against]

Each round runs every setting next to a run of its own with the default. The two take turns in going
first, so that both see the same machine. A row shows the median of the rounds' ratios (setting /
default), and in brackets the lowest and the highest. The row "default" compares the default with
itself: differences smaller than that are noise. Figures are CPU ns per operation, except for
steal_latency, which is wall time, because its waiting task burns a CPU.
With --against, the defaults of two builds are compared instead: this build / the other.

With --load, the options of a server are compared: `weir proxy` relays between that load generator
(make -C bench/peers) and the echo server beside it, all on the same CPUs. A figure is the proxy's
CPU us per request; a column is named connections x bytes. Each figure gets a fresh proxy, so that
its connections are distributed anew. If the proxy prints a warning in spite of --quiet, for example
that --steer has no effect, the run ends: it would measure something other than the setting.
"""
import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BENCHES = ['spawn_many_local', 'spawn_join_main', 'yield_many', 'ping_pong', 'fan_out', 'steal_latency']
WALL = {'steal_latency'}
# This machine's workers split into two groups, or two nodes. The CPUs are equally near in fact, so
# this measures what the split costs, not what it gains.
SPLIT = ['machine=pack:2 l3:1 core:{half} pu:1']
NODES = ['machine=pack:2 [numa] l3:1 core:{half} pu:1']
SETTINGS = [
    ('default', [], []),
    ('steal=off', ['steal=off'], []),
    ('groups', SPLIT, []),
    ('groups, steal=group', SPLIT + ['steal=group'], SPLIT),
    ('nodes', NODES, []),
    ('nodes, steal=node', NODES + ['steal=node'], NODES),
    ('nodes, remote_after=1', NODES + ['remote_after=1'], NODES),
    ('nodes, remote_after=32', NODES + ['remote_after=32'], NODES),
    ('searchers=1', ['searchers=1'], []),
    ('searchers=all', ['searchers={workers}'], []),
    ('spin_ns=50000', ['spin_ns=50000'], []),
    ('spin_ns=forever', ['spin_ns=forever'], []),
    ('bind=cpu', ['bind=4'], []),
    ('no_lifo', ['no_lifo=1'], []),
    ('lifo_max=1', ['lifo_max=1'], []),
    ('lifo_max=100', ['lifo_max=100'], []),
    ('event_interval=8', ['event_interval=8'], []),
    ('event_interval=512', ['event_interval=512'], []),
    ('inject_interval=8', ['inject_interval=8'], []),
    ('inject_interval=512', ['inject_interval=512'], []),
    ('tune_ns=forever', ['tune_ns=forever'], []),
    ('budget=16', ['budget=16'], []),
    ('watch_ns=forever', ['watch_ns=forever'], []),
    ('stall_ns=forever', ['stall_ns=forever'], []),
]
WAITS_FOR_A_THIEF = {'steal_latency'}
POINTS = {'64 x 64': (64, 64), '64 x 16384': (64, 16384), '500 x 64': (500, 64)}
GROUPS = ['--policy', 'none', '--group-workers', '1']
SERVER_SETTINGS = [
    ('default', [], []),
    ('groups', GROUPS, []),
    ('groups, shards one', GROUPS + ['--shards', 'one'], GROUPS),
    ('groups, least-loaded', GROUPS + ['--dispatch', 'least-loaded'], GROUPS),
    ('groups, bind cpu', GROUPS + ['--bind', 'cpu'], GROUPS),
    ('groups, bind cpu, steer', GROUPS + ['--bind', 'cpu', '--steer'], GROUPS + ['--bind', 'cpu']),
    ('shards worker', ['--shards', 'worker'], []),
    ('least-loaded', ['--dispatch', 'least-loaded'], []),
    ('bind none', ['--bind', 'none'], []),
    ('bind core', ['--bind', 'core'], []),
    ('bind cpu', ['--bind', 'cpu'], []),
    ('policy none', ['--policy', 'none'], []),
    ('policy first-usable-node', ['--policy', 'first-usable-node'], []),
    ('policy group-by-cluster', ['--policy', 'group-by-cluster'], []),
]
PORT = 21500


def benches_of(name):
    """The benchmarks for a setting. Without stealing, one that waits for a thief never ends."""
    alone = name == 'steal=off' or name.endswith(('steal=group', 'steal=node'))
    return [b for b in BENCHES if not (alone and b in WAITS_FOR_A_THIEF)]


def measure(micro, args, settings, benches):
    """Runs the benchmarks once. Returns ns per operation by benchmark."""
    fill = {'workers': args.workers, 'half': max(1, args.workers // 2)}
    cmd = [micro, '--workers', str(args.workers), '--secs', str(args.secs), '--only', ','.join(benches)]
    for setting in settings:
        cmd += ['--set', setting.format(**fill)]
    run = subprocess.run(cmd, capture_output=True, text=True, timeout=600)
    if run.returncode:
        sys.exit('policies.py: %s: %s' % (' '.join(cmd), run.stderr.strip()))
    lines = map(json.loads, run.stdout.splitlines())
    return {r['name']: r['value'] if r['name'] in WALL else r['cpu']
            for r in lines if r['name'] in benches}


def answers(port):
    try:
        socket.create_connection(('127.0.0.1', port), timeout=1).close()
        return True
    except OSError:
        return False


class Running:
    """A server that runs within a "with" block, which waits for its first and its last answer.

    A server that ends in order has closed its port. One that is killed may not have: a listener of
    io_uring answers until the kernel has torn the ring down, up to 0.2 s later.
    """

    def __init__(self, port, cmd):
        self.port, self.cmd = port, cmd

    def __enter__(self):
        self.stderr = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(self.cmd, stdout=subprocess.DEVNULL, stderr=self.stderr)
        end = time.time() + 10
        while time.time() < end and self.process.poll() is None:
            if answers(self.port):
                return self
            time.sleep(0.02)
        self.__exit__()
        sys.exit('policies.py: server does not answer: %s: %s' % (' '.join(self.cmd), self.said()))

    def said(self):
        """What the server has written to stderr."""
        self.stderr.seek(0)
        return self.stderr.read().strip()

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        while answers(self.port):
            time.sleep(0.02)


def measure_server(weir, args, settings, points):
    """Measures `weir proxy` once. Returns its CPU us per request by point."""
    echo = os.path.join(os.path.dirname(args.load), 'epoll-echo')
    proxy = [weir, 'proxy', 'tcp://127.0.0.1:%d' % PORT, 'tcp://127.0.0.1:%d' % (PORT + 1), '--quiet',
             '--access-log', 'off', '--workers', str(args.workers), *settings]
    got = {}
    with Running(PORT + 1, [echo, '--port', str(PORT + 1), '--workers', '1']):
        for point in points:
            conns, size = POINTS[point]
            with Running(PORT, proxy) as server:
                cmd = [args.load, '--port', str(PORT), '--conns', str(conns), '--size', str(size),
                       '--secs', str(args.secs), '--warm', '0.1', '--pid', str(server.process.pid)]
                run = subprocess.run(cmd, capture_output=True, text=True, timeout=600)
            if run.returncode:
                sys.exit('policies.py: %s: %s%s' % (' '.join(cmd), run.stdout, run.stderr))
            if server.said():
                sys.exit('policies.py: %s: %s' % (' '.join(proxy), server.said()))
            got[point] = json.loads(run.stdout)['cpu_us']
    return got


def compare(first, second, rounds, benches):
    """Runs both sides in every round. Returns a list of ratios first / second by benchmark."""
    ratios = {b: [] for b in benches}
    for i in range(rounds):
        order = (first, second) if i % 2 == 0 else (second, first)
        got = {side: side() for side in order}
        for b in benches:
            ratios[b].append(got[first][b] / got[second][b])
    return ratios


def cell(ratios):
    return '%.2f (%.2f-%.2f)' % (statistics.median(ratios), min(ratios), max(ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('micro')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--secs', type=float, default=0.2)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--only', default='')
    parser.add_argument('--against', default='')
    parser.add_argument('--load', default='')
    args = parser.parse_args()
    if args.load and args.against:
        parser.error('--load, --against: expected one of them')
    columns, take = (list(POINTS), measure_server) if args.load else (BENCHES, measure)
    rows = [s for s in (SERVER_SETTINGS if args.load else SETTINGS) if not args.only or s[0] in args.only.split(';')]
    if args.against:
        rows = [('this / other', [], [])]
    print('| option | ' + ' | '.join(columns) + ' |')
    print('|---|' + '---|' * len(columns))
    for name, settings, base in rows:
        benches = columns if args.load else benches_of(name)
        if args.against:
            benches = [b for b in benches if b not in ('fan_out', 'steal_latency')]
        ratios = compare(lambda: take(args.micro, args, settings, benches),
                         lambda: take(args.against or args.micro, args, base, benches),
                         args.rounds, benches)
        print('| %s | ' % name + ' | '.join(cell(ratios[b]) if b in benches else '' for b in columns)
              + ' |', flush=True)


if __name__ == '__main__':
    main()
