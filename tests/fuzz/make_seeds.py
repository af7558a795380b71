#!/usr/bin/env python3
"""Writes the first seeds of tests/fuzz/corpus from the golden files and examples of this repository.

Only needed when a target's input format changes: what the fuzzers found worth keeping is committed
beside them. tests/fuzz/make_seeds.py CORPUS_DIRECTORY
"""
import json
import os
import re
import struct
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JOB_HEX = '0123456789abcdef0123456789abcdef'
JOB = json.dumps({
    'name': 'word-count', 'jobid': JOB_HEX, 'priority': 3, 'schedulingStrategy': 'lazy',
    'vertices': [
        {'id': 'split', 'command': ['bin/split', '{subtask}'], 'parallelism': 2,
         'env': {'LANG': 'C'}, 'timeout': '10 min', 'slotSharingGroup': 'default', 'labels': {}},
        {'id': 'count', 'name': 'Count words \u00e9', 'command': ['bin/count'], 'priority': -1}],
    'edges': [{'source': 'split', 'target': 'count', 'exchange': 'none', 'pattern': 'pointwise'}],
    'restartStrategy': {'type': 'fixed-delay', 'attempts': 3, 'delay': '1 s'}})


def golden(path):
    with open(os.path.join(ROOT, 'tests/golden', path)) as file:
        text = file.read()
    return bytes.fromhex(re.sub(r'\s', '', text[text.index('\nbytes:\n') + 8:]))


def piece(data):
    return struct.pack('>H', len(data)) + data


def framed(data):
    return struct.pack('>I', len(data)) + data


def varint(number):
    out = b''
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def job_graphs():
    yield 'word-count', JOB.encode()
    yield 'small', b'{"name":"j","vertices":[{"id":"v","command":["true"]}]}'
    yield 'not-json', b'{"name":"j",,}'
    yield 'none', b'{"name":"j","restartStrategy":{"type":"none"},"vertices":[]}'
    yield 'duplicate', b'{"name":"j","name":"k","vertices":[{"id":"v","command":["a"],"env":{"A":"1","A":"2"}}]}'


def rpc_frames():
    folder = os.path.join(ROOT, 'tests/golden/rpc')
    for name in sorted(os.listdir(folder)):
        if not name.startswith('Envelope.'):
            continue
        kind = name.split('.')[1]
        frame = framed(golden('rpc/' + name))
        yield 'proven-' + kind, b'\x01\x00' + frame
        if kind in ('hello', 'hello_proof', 'error', 'ping'):
            yield 'stranger-' + kind, b'\x00\x00' + frame
            yield 'server-' + kind, b'\x03\x05' + frame
    # Envelope{1: version, 3: correlation id, 10: Hello{...}} as this cluster says it.
    hello = text(1, b'test') + number(2, 1) + text(3, b'x') + text(4, b'y') + number(5, 1) + number(6, 1)
    secret = hello + text(7, bytes(32))
    for mode, body in ((0, secret), (2, hello), (3, secret)):
        yield f'hello-{mode}', bytes([mode, 0]) + framed(number(1, 1) + text(10, body))
    blob = text(1, b'job-graph')
    for name, kind, body in (
            ('list', 28, blob + number(3, 10)), ('get', 24, blob + text(2, b'0' * 64)),
            ('put', 22, blob + text(2, b'e3b0c44298fc1c149afbf4c8996fb924'
                                      b'27ae41e4649b934ca495991b7852b855')),
            ('collect', 30, number(1, 3) + text(2, b'job-graph') + text(3, text(1, b'0' * 64))),
            ('journal', 32, number(2, 5))):
        request = framed(number(1, 1) + number(3, 7) + text(kind, body))
        yield 'ask-' + name, b'\x01\x00' + request
        yield 'ask-again-' + name, b'\x02\x03' + framed(number(1, 1) + text(10, hello)) + 2 * request


def http():
    job = JOB.encode()
    base = '/v1/jobs/' + JOB_HEX
    gets = ['/v1/overview', '/jobs/overview', base, base + '/config', base + '/exceptions',
            base + '/vertices/v', base + '/vertices/v/subtasks/0',
            base + '/vertices/v/subtasks/0/attempts/0/stdout?offset=3&follow=true',
            base + '/plan', '/taskmanagers', '/v1/leader', '/leader', '/ready', '/health',
            '/v1/replicas', '/v1/failovers', '/metrics', '/v1/openapi.json', '/config', '/nosuch',
            base + '/yarn-cancel', '/jobs/%41%zz?x=%']
    for i, target in enumerate(gets):
        yield f'get-{i:02}', bytes([i % 4, i]) + f'GET {target} HTTP/1.1\r\nHost: a\r\n\r\n'.encode()

    def request(line, body, *headers):
        head = ''.join(h + '\r\n' for h in headers)
        return f'{line} HTTP/1.1\r\nHost: a\r\n{head}Content-Length: {len(body)}\r\n\r\n'.encode() + body
    yield 'post', b'\x00\x02' + request('POST /v1/jobs', job, 'Content-Type: application/json',
                                        'Idempotency-Key: order-17')
    yield 'put', b'\x02\x00' + request('PUT ' + base, job)
    yield 'cancel', b'\x01\x03' + request('PATCH ' + base + '?mode=cancel', b'', 'Origin: http://b')
    yield 'drain', b'\x00\x00' + request('POST /v1/taskmanagers/tm-1/drain?deadline=10%20min', b'')
    yield 'undrain', b'\x00\x00' + request('DELETE /v1/taskmanagers/tm-1/drain', b'')
    yield 'retire', b'\x01\x04' + request('POST /v1/replicas/b/retire', b'')
    yield 'transfer', b'\x00\x00' + request('POST /v1/leader/transfer', b'')
    yield 'recover', b'\x03\x00' + request('POST /v1/recover-pointers?without=a,b', b'')
    yield 'pipelined', b'\x00\x00' + 2 * b'GET /leader HTTP/1.1\r\nHost: a\r\n\r\n'
    yield 'head', b'\x00\x00HEAD /v1/overview HTTP/1.1\r\nHost: a\r\n\r\n'
    yield 'chunked', (b'\x00\x00POST /jobs HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n'
                      b'Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n{"nam\r\n0\r\nA: b\r\n\r\n')
    yield 'old', b'\x00\x00GET /leader HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'
    yield 'expect', b'\x00\x00GET / HTTP/1.1\r\nExpect: more\r\n\r\n'


def stored_records():
    vertex = text(1, b'v') + text(2, b'v') + number(3, 3) + text(4, b'true')
    other = text(1, b'w') + text(2, b'w') + number(3, 2) + text(4, b'true')
    graph = text(1, b'j') + text(3, vertex) + text(3, other) + text(4, number(2, 1) + number(3, 1))
    progress = number(1, 0) + text(2, b'\0') + text(3, b'\2') + text(4, b'\2') + text(5, b'\1')
    pointer = golden('store/JobPointer.1.golden')
    result = golden('store/JobResult.1.golden')
    members = golden('rpc/MemberList.1.golden')
    yield 'graph', b'\x00' + graph
    yield 'golden-graph', b'\x00' + golden('job/JobGraph.1.golden')
    yield 'progress', b'\x01' + piece(text(12, progress)) + graph
    yield 'archive', b'\x02' + piece(result) + text(1, graph) + text(4, text(1, b'FINISHED')) + text(4, b'')
    yield 'golden-archive', b'\x02' + piece(result) + golden('dispatcher/ArchivedExecution.1.golden')
    yield 'merge', (b'\x03\x01' + b'\x05\x02\x02\x00' + piece(pointer) + b'\x01' + piece(result) +
                    b'\x06\x02\x02\x00' + piece(pointer) + b'\x03' + piece(members))
    yield 'records', (b'\x04\x00' + piece(golden('store/JournalState.1.golden')) + b'\x00' +
                      piece(pointer) + b'\x11' + piece(result) + b'\x03' + piece(members))
    node = text(1, b'data') + number(2, 4) + number(3, 9)
    yield 'tree', (b'\x05\x00' + piece(number(1, 12)) + b''.join(
        bytes([i]) + piece(node) for i in range(1, 6)))
    yield 'blob', b'\x06' + piece(b'bytes') + b'\x00' + piece(b'1500000000000-3')


def damaged_tree():
    leader = golden('rpc/LeaderRecord.1.golden')
    for i, record in enumerate((leader, golden('rpc/MemberList.2.golden'),
                                golden('rpc/ReplicaRecord.1.golden'),
                                golden('store/JobPointer.1.golden'),
                                golden('store/JobResult.1.golden'),
                                golden('rpc/TaskManagerDescription.2.golden'))):
        yield f'one-{i}', bytes([i]) + piece(record)
    yield 'epoch', b'\x00' + piece(number(1, 7) + text(2, b'b') + text(3, b'b-life'))
    yield 'members', (b'\x00' + piece(number(1, 7)) + b'\x02' +
                      piece(number(1, 3) + text(2, text(1, b'a') + text(2, b'a:6123'))))
    ids = bytes.fromhex(JOB_HEX)
    yield 'job', (b'\x04' + piece(text(1, ids) + text(2, b'0' * 64)) + b'\x05' +
                  piece(text(1, ids) + text(3, b'FINISHED')))


def worker_messages():
    def step(worker, what, *rest):
        return bytes([worker, what]) + b''.join(bytes([r]) if isinstance(r, int) else r for r in rest)

    def register(worker, name, slots=2, inventory=0):
        return step(worker, 3, name, slots, inventory)

    def end(worker, attempt, outcome=1):
        return step(worker, 4, attempt, 3, outcome)

    ids = bytes.fromhex(JOB_HEX)
    join = register(0, 0) + step(0, 5, 5)
    yield 'works', join + b''.join(end(0, i) + step(0, 5, 5) for i in range(5))
    yield 'fails', join + end(0, 0, 0x11) + step(0, 5, 5) + end(0, 1, 4) + end(0, 2, 7) + end(0, 3, 3)
    yield 'twice', join + register(1, 0) + register(0, 0x40, 2, 3) + step(0, 6) + register(1, 0x40) + end(1, 0)
    yield 'ahead', register(0, 1, 1) + step(0, 4, 0xc0, 2, 0) + step(0, 4, 0xc4, 3, 1) + register(0, 1, 9, 2)
    yield 'refuses', step(0, 7, 1) + join + step(0, 7, 2) + step(0, 5, 30) + step(0, 7, 3) + step(0, 5, 60)
    yield 'others', join + register(1, 1, 3) + end(1, 0) + end(1, 1) + step(1, 6) + register(1, 1, 3, 0xff)
    yield 'leaves', join + step(0, 6) + step(0, 5, 30) + register(0, 0, 2, 2) + step(0, 5, 200)
    for message, what in (('RegisterTaskManager', 0), ('Heartbeat', 1), ('TaskReports', 2)):
        names = sorted(n for n in os.listdir(os.path.join(ROOT, 'tests/golden/rpc'))
                       if n.startswith(message + '.'))
        for name in names:
            yield name, join + step(0, what, piece(golden('rpc/' + name)))
    description = text(1, b'tm-9') + text(2, b'x') + number(3, 1 << 31) + number(10, (1 << 64) - (1 << 62))
    drain = text(9, number(1, (1 << 63) - 1))
    attempt = text(1, number(2, 1) + number(4, (1 << 32) - 1) + number(5, 1 << 63)) + number(2, 2)
    yield 'absurd', step(0, 0, piece(text(1, description + drain) + text(3, attempt))) + step(0, 5, 50)
    yield 'elsewhere', join + step(0, 2, piece(text(2, text(1, text(1, ids)) + number(2, 3))))


def main():
    for make in (job_graphs, rpc_frames, http, stored_records, damaged_tree, worker_messages):
        name = {'job_graphs': 'job_graph_json'}.get(make.__name__, make.__name__)
        folder = os.path.join(sys.argv[1], name)
        os.makedirs(folder, exist_ok=True)
        for seed, data in make():
            with open(os.path.join(folder, seed), 'wb') as file:
                file.write(data)


main()
