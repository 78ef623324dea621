//! New inputs from old ones, by what HL7 is made of: lines, fields, delimiters, escapes, frames.

use fastrand::Rng;

/// What is put in, over and over.
const WORDS: [&[u8]; 68] = [
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"#",
    b"\r",
    b"\n",
    b"\r\n",
    b"\x0B",
    b"\x1C",
    b"\x1C\r",
    b"\0",
    b"\xEF\xBB\xBF",
    b"\xFF\xFE",
    b"\xFE\xFF",
    b"\"\"",
    b"MSH|^~\\&|",
    b"MSH#*+!@#",
    b"MSH|^~\\|",
    b"MSH|^|",
    b"MSH||",
    b"MSH|",
    b"\rMSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.4\r",
    b"\rPID|1||1^^^A^MR~2\r",
    b"\rOBX|1|TX|||",
    b"\rEVN",
    b"\rMSA|AA|1",
    b"\rDSC|1\r",
    b"FHS|^~\\&\r",
    b"BHS|^~\\&\r",
    b"\rBTS|1\r",
    b"\rFTS|1\r",
    b"ACK",
    b"ADT^A01^ADT_A01",
    b"|2.5.1|",
    b"|2.3|",
    b"|AL|NE|",
    b"UNICODE UTF-8",
    b"8859/1",
    b"UNICODE UTF-16",
    b"UNICODE UTF-32",
    b"ASCII~ISO IR87",
    b"GB 18030-2000",
    b"BIG-5",
    b"ISO IR87",
    b"ASCII",
    b"\\F\\",
    b"\\S\\",
    b"\\T\\",
    b"\\R\\",
    b"\\E\\",
    b"\\P\\",
    b"\\X0D\\",
    b"\\XC3A9\\",
    b"\\.br\\",
    b"\\.sp99\\",
    b"\\H\\",
    b"\\N\\",
    b"\\C2842\\",
    b"\\M254221\\",
    b"\\Zxx\\",
    b"\xC3\xA9",
    b"\xE9",
    b"\xA3",
    b"\x1B$B",
    b"\x1B(B",
    b"MSH|^~\\&#|",
];

/// An input made of one, or of two.
pub(crate) fn mutate(rng: &mut Rng, one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = one.to_vec();
    for _ in 0..rng.usize(1..=6) {
        step(rng, &mut out, other);
    }
    // Long inputs are slow and teach nothing that short ones do not.
    out.truncate(4096);
    out
}

fn step(rng: &mut Rng, out: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(0..=out.len());
    let to = (at + rng.usize(0..=16)).min(out.len());
    match rng.u8(0..13) {
        0..4 => drop(out.splice(at..at, rng.choice(WORDS).unwrap_or(b"|").iter().copied())),
        4 => drop(out.splice(at..to, rng.choice(WORDS).unwrap_or(b"|").iter().copied())),
        5 => drop(out.drain(at..to)),
        6 => {
            let piece = out[at..to].to_vec();
            drop(out.splice(at..at, piece.repeat(rng.usize(1..=8))));
        }
        7 if at < out.len() => out[at] ^= 1 << rng.u8(0..8),
        8 if at < out.len() => out[at] = rng.u8(..),
        9 => out.truncate(at),
        10 => {
            let from = rng.usize(0..=other.len());
            let until = (from + rng.usize(0..=64)).min(other.len());
            drop(out.splice(at..to, other[from..until].iter().copied()));
        }
        11 => {
            // Two lines change places.
            let mut lines: Vec<Vec<u8>> =
                out.split(|byte| *byte == b'\r').map(<[u8]>::to_vec).collect();
            let (a, b) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
            lines.swap(a, b);
            *out = lines.join(&b'\r');
        }
        12 if rng.u8(0..8) == 0 => {
            // The rest as a sender of UTF-16 or UTF-32 would have it.
            let wide = out.split_off(at.min(8));
            let (little, zeros) = (rng.bool(), rng.choice([1, 3]).unwrap_or(1));
            for byte in wide {
                let padding = std::iter::repeat_n(0, zeros);
                if little {
                    out.extend(std::iter::once(byte).chain(padding));
                } else {
                    out.extend(padding.chain(std::iter::once(byte)));
                }
            }
        }
        _ => out.push(rng.u8(..)),
    }
}
