"""Makes a screenshot small: a PNG of true colours becomes one of at most 256.

usage: png_palette.py FILE...     (rewritten in place)

Drawn text has few colours and many shades between them; with the shades rounded to 16 steps the
commonest 256 colours are all there is, and a file is a quarter of what it was. Only what a browser
writes is read: 8 bits, RGB or RGBA, not interlaced.
"""

import collections
import struct
import sys
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(data):
    """Every chunk as (kind, content)."""
    at = len(SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += length + 12


def paeth(left, up, corner):
    """The predictor of filter 4."""
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


def unfiltered(kind, line, above, size):
    """One line of bytes as they were before the filter."""
    if kind == 2:
        return bytearray((a + b) & 255 for a, b in zip(line, above))
    if kind == 0:
        return line
    for index, value in enumerate(line):
        left = line[index - size] if index >= size else 0
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + above[index]) // 2
        else:
            guess = paeth(left, above[index], above[index - size] if index >= size else 0)
        line[index] = (value + guess) & 255
    return line


def pixels(data):
    """(width, rows), each row a list of rounded (red, green, blue)."""
    parts = list(chunks(data))
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", parts[0][1])
    if depth != 8 or color not in (2, 6) or interlaced:
        raise SystemExit("png_palette: not a PNG as a browser writes it")
    size = 3 if color == 2 else 4
    raw = bytearray(zlib.decompress(b"".join(it for kind, it in parts if kind == b"IDAT")))
    step = width * size + 1
    # 17 is 255 / 15: black and white stay what they are.
    rounded = bytes((value + 8) // 17 * 17 for value in range(256))
    above, rows = bytearray(step - 1), []
    for top in range(0, height * step, step):
        above = unfiltered(raw[top], raw[top + 1 : top + step], above, size)
        line = above.translate(rounded)
        rows.append(list(zip(line[0::size], line[1::size], line[2::size])))
    return width, rows


def packed(kind, content):
    """One chunk."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def with_palette(data):
    """The picture with at most 256 colours."""
    width, rows = pixels(data)
    counted = collections.Counter(pixel for row in rows for pixel in row)
    palette = [color for color, _ in counted.most_common(256)]

    def nearest(color):
        return min(range(len(palette)), key=lambda at: sum(
            (one - other) ** 2 for one, other in zip(palette[at], color)))

    index = {color: at for at, color in enumerate(palette)}
    index.update((color, nearest(color)) for color in counted if color not in index)
    raw = b"".join(b"\0" + bytes(map(index.__getitem__, row)) for row in rows)
    head = struct.pack(">IIBBBBB", width, len(rows), 8, 3, 0, 0, 0)
    colors = b"".join(map(bytes, palette))
    return SIGNATURE + b"".join([
        packed(b"IHDR", head),
        packed(b"PLTE", colors),
        packed(b"IDAT", zlib.compress(raw, 9)),
        packed(b"IEND", b""),
    ])


def main():
    """Rewrites every file that gets smaller."""
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            before = file.read()
        after = with_palette(before)
        if len(after) < len(before):
            with open(path, "wb") as file:
                file.write(after)


if __name__ == "__main__":
    main()
