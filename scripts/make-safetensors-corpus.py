"""Writes test/checkpoint/fixtures/safetensors-corpus.json: small files with the reference reader's verdict on each.

    python scripts/make-safetensors-corpus.py        (needs: pip install safetensors)

Each case has a name, its bytes (base64, then `zeros` zero bytes) and `reference`: the number of tensors the Rust reader finds, or
null when it refuses. `stricter` names the rule by which wgrank refuses what the reference accepts; every other verdict must agree.
"""

import base64
import json
import pathlib
import struct

import safetensors

cases = []


def add(name, header, zeros=0, stricter=None, length=None, tail=b""):
    text = header if isinstance(header, bytes) else header.encode()
    data = struct.pack("<Q", len(text) if length is None else length) + text
    add_bytes(name, data, zeros, stricter, tail)


def add_bytes(name, data, zeros=0, stricter=None, tail=b""):
    whole = data + bytes(zeros) + tail
    try:
        reference = len(safetensors.deserialize(whole))
    except Exception:
        reference = None
    assert stricter is None or reference is not None, f"{name}: the reference refuses it too"
    if tail:
        data, zeros = whole, 0
    case = {"name": name, "bytes": base64.b64encode(data).decode(), "zeros": zeros, "reference": reference}
    cases.append(case if stricter is None else {**case, "stricter": stricter})


def tensor(dtype="F32", shape="[2,2]", offsets="[0,16]"):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'


def one(name="a", **fields):
    return f'{{"{name}":{tensor(**fields)}}}'


# Frames
add_bytes("empty file", b"")
add_bytes("seven bytes", bytes(7))
add_bytes("length 0", bytes(8))
add("no tensors", "{}")
add("header of one brace", "{")
add("trailing spaces", "{} \r\n\t")
add("trailing NUL", "{}\0")
add("trailing text", "{} x")
add("two objects", "{}{}")
add("leading space", " {}", stricter="the header begins with {")
add("leading line feed", "\n{}", stricter="the header begins with {")
add("byte order mark", b"\xef\xbb\xbf{}")
add("array", "[]")
add("null", "null")
for delta in (-1, 1, 8, 9):
    add(f"length off by {delta}", one(), 16, length=len(one()) + delta)
for length in (100_000_000, 100_000_001, 2**31, 2**32, 2**53 + 1, 2**63, 2**64 - 1, 2**64 - 8):
    add(f"length {length}", one(), 16, length=length)

# Data length
add("one tensor", one(), 16)
add("one byte less", one(), 15)
add("one byte more", one(), 17)
add("polyglot tail", one(), 16, tail=b"PK\x05\x06" + bytes(18))
add("data without tensors", "{}", 4)

# Dtypes
for dtype, bits in dict(F64=64, F32=32, F16=16, BF16=16, I64=64, I32=32, I16=16, I8=8, U64=64, U32=32, U16=16, U8=8, BOOL=8, C64=64,
                        F8_E4M3=8, F8_E5M2=8, F8_E8M0=8, F8_E4M3FNUZ=8, F8_E5M2FNUZ=8, F6_E2M3=6, F6_E3M2=6, F4=4).items():
    add(f"dtype {dtype}", one(dtype=dtype, shape="[4]", offsets=f"[0,{bits // 2}]"), bits // 2)
add("F4 with half a byte", one(dtype="F4", shape="[3]", offsets="[0,1]"), 1)
add("F6 with two bits too many", one(dtype="F6_E2M3", shape="[3]", offsets="[0,2]"), 2)
for dtype in ("f32", "F31", "", "F32 ", "float32", "F8"):
    add(f"dtype {dtype!r}", one(dtype=dtype), 16)
add("dtype null", '{"a":{"dtype":null,"shape":[],"data_offsets":[0,0]}}')
add("dtype number", '{"a":{"dtype":4,"shape":[],"data_offsets":[0,0]}}')
add("dtype escaped", one(dtype="\\u00463\\u0032"), 16)

# Shapes
add("scalar", one(shape="[]", offsets="[0,4]"), 4)
add("zero size", one(shape="[2,0]", offsets="[0,0]"))
add("zero size before and after", '{"a":%s,"b":%s,"c":%s}' % (
    tensor(shape="[0]", offsets="[0,0]"), tensor(offsets="[0,16]"), tensor(shape="[0]", offsets="[16,16]")), 16)
add("zero size listed after its neighbour", '{"b":%s,"a":%s}' % (tensor(), tensor(shape="[0]", offsets="[0,0]")), 16)
add("shape too large", one(shape="[2,3]"), 16)
add("shape too small", one(shape="[2,1]"), 16)
for number in ("-0", "-1", "-2", "2.0", "2e0", "0.2e1", "02", "+2", "2.", "0x2", "1e400", "NaN", "Infinity", "true", "null", '"2"', "[2]", "{}", "", "2 2"):
    add(f"size {number}", one(shape=f"[2,{number}]"), 16)
for number in (2**53 - 1, 2**53, 2**53 + 1, 2**63, 2**64 - 1, 2**64):
    add(f"size {number}", one(shape=f"[{number}]"), 16)
big = "sizes stay within 2^53-1 bits"
add("product 2^64", one(shape="[4294967296,4294967296]", offsets="[0,0]"))
add("product 2^64 then 0", one(shape="[4294967296,4294967296,0]", offsets="[0,0]"))
add("product 2^53 then 0", one(shape="[4294967296,2097152,0]", offsets="[0,0]"), stricter=big)
add("0 then 2^53", one(shape="[0,9007199254740992]", offsets="[0,0]"), stricter=big)
add("bits 2^64", one(dtype="F64", shape="[288230376151711744]", offsets="[0,0]"))
add("product that wraps to 16", one(shape="[4611686018427387908]"), 16)
add("64 axes", one(shape="[" + ",".join("1" * 64) + "]", offsets="[0,4]"), 4)
add("65 axes", one(shape="[" + ",".join("1" * 65) + "]", offsets="[0,4]"), 4, stricter="at most 64 axes")
add("trailing comma in shape", one(shape="[2,2,]"), 16)
add("shape null", one(shape="null"), 16)
add("shape object", one(shape="{}"), 16)
add("spaces in shape", one(shape="[ 2 ,\t2\r\n]"), 16)

# Offsets
two = '{"a":%s,"b":%s}'
add("two tensors", two % (tensor(), tensor(offsets="[16,32]")), 32)
add("two tensors in reverse", two % (tensor(offsets="[16,32]"), tensor()), 32)
add("hole at the start", one(offsets="[4,20]"), 20)
add("hole between", two % (tensor(), tensor(offsets="[20,36]")), 36)
add("overlap", two % (tensor(), tensor(offsets="[8,24]")), 24)
add("same place", two % (tensor(), tensor()), 16)
add("backwards", one(offsets="[16,0]"), 16)
add("begin 2^53+1", one(offsets="[9007199254740993,9007199254741009]"), 16)
add("end 2^64-1", one(offsets="[0,18446744073709551615]"), 16)
add("end -0", one(shape="[0]", offsets="[0,-0]"))
add("end 1.6e1", one(offsets="[0,1.6e1]"), 16)
for offsets in ("[0]", "[]", "[0,16,16]", "null", "{}", '"0,16"', "[[0],[16]]", "[0 16]", "[0,16"):
    add(f"offsets {offsets}", one(offsets=offsets), 16)

# Fields and names
add("no dtype", '{"a":{"shape":[0],"data_offsets":[0,0]}}')
add("no shape", '{"a":{"dtype":"F32","data_offsets":[0,0]}}')
add("no offsets", '{"a":{"dtype":"F32","shape":[0]}}')
add("dtype twice", '{"a":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}')
add("escaped field name", '{"a":{"d\\u0074ype":"F32","shape":[0],"data_offsets":[0,0]}}')
add("extra field", '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"x":1}}', stricter="only dtype, shape, data_offsets")
add("tensor as array", '{"a":["F32",[0],[0,0]]}', stricter="a tensor is an object")
add("dtype as object", '{"a":{"dtype":{"F32":null},"shape":[0],"data_offsets":[0,0]}}', stricter="a dtype is a string")
for value in ("null", "1", '"x"', "true", "{}", "[]"):
    add(f"tensor {value}", f'{{"a":{value}}}')
add("same name twice", two.replace("b", "a") % (tensor(), tensor()), 16, stricter="no duplicate names")
add("same name by escape", two.replace("b", "\\u0061") % (tensor(), tensor()), 16, stricter="no duplicate names")
for name in ("", "__proto__", "constructor", "a b", "\\n", "\\u0000", "\\\\", "\\/", "é", "名", "\\ud83d\\ude00", "\U0001f600", "__metadata"):
    add(f"name {name!a}", one(name=name), 16)
for name in ("\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\x41", "\\u12", "\\", "\n", "\t", "\0"):
    add(f"bad name {name!a}", one(name=name), 16)
for name, raw in (("overlong", b"\xc0\x80"), ("surrogate", b"\xed\xa0\x80"), ("lone", b"\xff"), ("cut", b"\xe2\x82"), ("beyond", b"\xf4\x90\x80\x80")):
    add(f"name of bad UTF-8, {name}", one(name="@").encode().replace(b"@", raw), 16)
add("missing comma", two.replace(",", "") % (tensor(), tensor(offsets="[16,32]")), 32)
add("trailing comma", '{"a":%s,}' % tensor(), 16)
add("unquoted name", "{a:%s}" % tensor(), 16)
add("single quotes", "{'a':%s}" % tensor(), 16)
add("comment", "{/**/}")
add("deep array", '{"a":' + "[" * 200 + "]" * 200 + "}")
add("deep object", '{"a":' * 200 + "1" + "}" * 200)

# Metadata
add("metadata", '{"__metadata__":{"format":"pt","":""}}')
add("metadata alone and empty", '{"__metadata__":{}}')
add("metadata of numbers", '{"__metadata__":{"a":1}}')
add("metadata with null", '{"__metadata__":{"a":null}}')
add("metadata nested", '{"__metadata__":{"a":{"b":"c"}}}')
add("metadata array", '{"__metadata__":[]}')
add("metadata string", '{"__metadata__":"pt"}')
add("metadata as a tensor", one(name="__metadata__"), 16)
add("metadata twice", '{"__metadata__":{},"__metadata__":{}}')
add("metadata null", '{"__metadata__":null}', stricter="metadata is an object")
add("metadata key twice", '{"__metadata__":{"a":"b","a":"c"}}', stricter="no duplicate names")
add("metadata lone surrogate", '{"__metadata__":{"a":"\\ud800"}}')
add("metadata bad UTF-8", b'{"__metadata__":{"a":"\xff"}}')

out = pathlib.Path(__file__).parent.parent / "test/checkpoint/fixtures/safetensors-corpus.json"
out.parent.mkdir(parents=True, exist_ok=True)
body = ",\n".join("    " + json.dumps(case) for case in cases)
head = json.dumps({"command": "python scripts/make-safetensors-corpus.py", "safetensors": safetensors.__version__})[:-1]
out.write_text(f'{head}, "cases": [\n{body}\n]}}\n')
print(len(cases), "cases,", sum(c["reference"] is not None for c in cases), "accepted,", sum("stricter" in c for c in cases), "stricter here")
