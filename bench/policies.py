#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
policies.py: each scheduling option against its default, A/B.

    bench/policies.py build-release/bench/weir-micro [--rounds N] [--secs S] [--workers N]
                      [--only OPTION[;OPTION]] [--against OTHER_MICRO]

In each round every setting runs beside a default run of its own, in turns first and second, so
that both see the same machine. A row is the median of the rounds' ratios, setting / default, and
in brackets the lowest and the highest; "default" is the default against itself: what differs by less
than that is noise. CPU ns an operation; steal_latency is wall time, for its waiting burns a CPU.
With --against the default of two builds is compared instead: this one / the other.
"""
import argparse
import json
import statistics
import subprocess
import sys

BENCHES = ['spawn_many_local', 'spawn_join_main', 'yield_many', 'ping_pong', 'fan_out', 'steal_latency']
WALL = {'steal_latency'}
# Two groups, or two nodes, of this machine's workers: what borders cost, not what they gain.
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


def benches_of(name):
    """Where nobody steals, nobody is waited for."""
    alone = name == 'steal=off' or name.endswith(('steal=group', 'steal=node'))
    return [b for b in BENCHES if not (alone and b in WAITS_FOR_A_THIEF)]


def measure(micro, args, settings, benches):
    """ns an operation by benchmark."""
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


def compare(first, second, rounds, benches):
    """The rounds' ratios first / second by benchmark."""
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
    args = parser.parse_args()
    rows = [s for s in SETTINGS if not args.only or s[0] in args.only.split(';')]
    if args.against:
        rows = [('this / other', [], [])]
    print('| option | ' + ' | '.join(BENCHES) + ' |')
    print('|---|' + '---|' * len(BENCHES))
    for name, settings, base in rows:
        benches = benches_of(name)
        if args.against:
            benches = [b for b in benches if b not in ('fan_out', 'steal_latency')]
        ratios = compare(lambda: measure(args.micro, args, settings, benches),
                         lambda: measure(args.against or args.micro, args, base, benches),
                         args.rounds, benches)
        print('| %s | ' % name + ' | '.join(cell(ratios[b]) if b in benches else '' for b in BENCHES)
              + ' |', flush=True)


if __name__ == '__main__':
    main()
