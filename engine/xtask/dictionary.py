#!/usr/bin/env python3
"""Makes engine/hl7/dictionary/standard.txt: what HL7 v2.1 to v2.8.2 call their parts.

    npm pack hl7-dictionary@1.0.1
    pip download --no-deps hl7apy==1.3.5
    engine/xtask/dictionary.py hl7-dictionary-1.0.1.tgz hl7apy-1.3.5-py2.py3-none-any.whl

Versions up to 2.7.1 are those of hl7-dictionary, in its words; 2.8, 2.8.1 and 2.8.2, and segments that
it lacks, those of hl7apy, which has capitals only: their spelling is that of hl7-dictionary's words.
The same packages give the same bytes.
"""

import collections
import hashlib
import importlib
import json
import pathlib
import re
import sys
import tarfile
import tempfile
import zipfile

SOURCES = {
    "hl7-dictionary-1.0.1.tgz": "a23751c26d83a897fe5734ca198555c13c0d306d78b5578b103f0d63198182ef",
    "hl7apy-1.3.5-py2.py3-none-any.whl": "c8b80ff5ad020bf9c1e68a6395cf45cb78db621f65569d1798c46eb1b657e27b",
}
OLD = ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1"]
NEW = ["2.8", "2.8.1", "2.8.2"]
VERSIONS = OLD + NEW
SMALL = {"a", "an", "and", "at", "by", "for", "from", "if", "in", "into", "of", "on", "or", "per", "the", "to", "with"}
# What stands for no type, and the numbers that stand for no table.
NO_TYPE = {"", "WD", "NUL", "-"}
NO_TABLE = {0, 9999}
# What the sources call by an abbreviation, in German or not at all, in the words of the standard.
TITLES = {
    "segment": {
        "BUI": "Blood Unit Information",
        "CDO": "Cumulative Dosage",
        "DON": "Donation",
        "DPS": "Diagnosis and Procedure Code",
        "FAC": "Facility",
        "MCP": "Master File Coverage",
        "OMC": "Supporting Clinical Information",
        "ORG": "Practitioner Organization Unit",
        "PM1": "Payer Master File",
        "QCK": "Query Acknowledgment",
        "RXV": "Pharmacy/Treatment Infusion",
        "SGH": "Segment Group Header",
        "SGT": "Segment Group Trailer",
    },
    "datatype": {
        "CM_PARENT_RESULT": "Parent Result",
        "CM_PLACER": "Placer Order Number",
        "CM_RANGE": "Range of Values",
        "OG": "Observation Grouper",
    },
}

Slot = collections.namedtuple("Slot", "name type table")


def main(npm, wheel):
    for path in (npm, wheel):
        want, found = SOURCES[path.name], hashlib.sha256(path.read_bytes()).hexdigest()
        if want != found:
            sys.exit(f"{path} is another package: its SHA-256 is {found}")
    segments, types = {}, {}
    titles = {"segment": {}, "datatype": {}, "table": {}}
    read_npm(npm, segments, types, titles)
    words = vocabulary(segments, types)
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        sys.path.insert(0, folder)
        read_hl7apy(segments, types, titles, words)
    for slots in (segments, types):
        respell(slots, words)
        keep_types(slots)
    for noun, found in TITLES.items():
        titles[noun].update(found)
    out = pathlib.Path(__file__).resolve().parent.parent / "hl7/dictionary/standard.txt"
    text = render(segments, types, titles, words)
    out.write_text(text, encoding="utf-8")
    print(f"{out}: {len(text.encode())} bytes, {len(segments)} fields, {len(types)} components, "
          f"{len(titles['table'])} tables")


def read_npm(path, segments, types, titles):
    with tarfile.open(path) as archive:
        def literal(name):
            text = archive.extractfile(f"package/lib/{name}.js").read().decode("utf-8")
            return json.loads(text[text.index("{"):text.rindex("}") + 1])

        for version in OLD:
            for (name, noun, slots, parts) in (("segments", "segment", segments, "fields"),
                                               ("fields", "datatype", types, "subfields")):
                for owner, found in literal(f"{version}/{name}").items():
                    titles[noun][owner] = found["desc"]
                    for number, part in enumerate(found.get(parts, []), 1):
                        slot = Slot(part["desc"], part.get("datatype", ""), part.get("table"))
                        slots.setdefault((owner, number), {})[version] = slot
        for number, table in literal("tables").items():
            titles["table"][int(number)] = table["desc"]


def read_hl7apy(segments, types, titles, words):
    for version in NEW:
        module = importlib.import_module("hl7apy.v" + version.replace(".", "_"))
        for owner, structure in module.SEGMENTS.items():
            # What follows a structure's kind are its fields, each with where it is defined.
            for part in structure[1] if len(structure) > 1 else ():
                add(segments, owner, part[0], module.FIELDS.get(part[0]), version, words)
        for owner, parts in module.DATATYPES_STRUCTS.items():
            for part in parts:
                add(types, owner, part[0], module.DATATYPES.get(part[0]), version, words)
        tables = importlib.import_module(module.__name__ + ".tables").TABLES
        for code, table in tables.items():
            titles["table"].setdefault(int(code[3:]), table[0])


def add(slots, owner, part, definition, version, words):
    if definition is None or not definition[3] or owner == "ANYHL7SEGMENT":
        return
    number = int(part.rsplit("_", 1)[1])
    table = int(definition[4][3:]) if definition[4] else None
    slot = Slot(spelled(definition[3].replace("_", " "), words), definition[2], table)
    slots.setdefault((owner, number), {})[version] = slot


def letters(name):
    return re.sub("[^a-z0-9]", "", name.lower())


def vocabulary(segments, types):
    """How each word is spelt in the versions that spell with care."""
    seen = collections.defaultdict(collections.Counter)
    for slots in (segments, types):
        for versions in slots.values():
            for version in OLD[4:]:
                if version in versions:
                    for word in re.findall(r"[A-Za-z']+", versions[version].name):
                        seen[word.lower()][word] += 1
    return {word: min(forms, key=lambda form: (-forms[form], form)) for word, forms in seen.items()}


def spelled(name, words):
    def one(match):
        word = match.group().lower()
        if word in SMALL and match.start() > 0:
            return word
        return words.get(word) or word.capitalize()
    return re.sub(r"[A-Za-z']+", one, re.sub(r"\s+", " ", name).strip())


def respell(slots, words):
    """One spelling for names of one place that differ in nothing else."""
    for versions in slots.values():
        best = {}
        for version in VERSIONS:
            if version not in versions:
                continue
            slot = versions[version]
            name = re.sub(r"\s+", " ", slot.name).strip().rstrip(".")
            # Behind a name stand marks of footnotes.
            name = re.sub(r" [#*+]+$", "", name.replace(" _ ", " - ").replace("_s ", "'s "))
            if version in OLD[:4] and not re.search(r"[a-z].*\b[A-Z]", name):
                name = spelled(name, words)
            name = re.sub(r"(?<=[a-z,] )[A-Z][a-z]{1,3}(?= )", in_small, name)
            kept = best.get(letters(name))
            # What hl7apy has in capitals adds nothing to a name that is known.
            if kept is None or version in OLD:
                best[letters(name)] = name
            versions[version] = slot._replace(name=name)
        for version, slot in versions.items():
            versions[version] = slot._replace(name=best[letters(slot.name)])


def in_small(match):
    word = match.group()
    return word.lower() if word.lower() in SMALL else word


def still_text(versions):
    return any(versions[version].type == "ST" for version in NEW if version in versions)


def keep_types(slots):
    """Where hl7apy names no table for a type that had one, it still has. And hl7-dictionary calls
    what 2.7 withdrew, or what varies, a text: it is what it was."""
    for versions in slots.values():
        before = None
        for version in VERSIONS:
            slot = versions.get(version)
            if slot is None:
                continue
            kind = slot.type.lower() if slot.type == "VARIES" else slot.type
            table = None if slot.table in NO_TABLE else slot.table
            if version in NEW and table is None and before and before.type == kind:
                table = before.table
            if version in OLD[8:] and kind == "ST" and before and not still_text(versions):
                kind, table = before.type, before.table
            before = versions[version] = slot._replace(type=kind, table=table)


def render(segments, types, titles, words):
    lines = [
        "# What HL7 v2 calls its parts. Made by engine/xtask/dictionary.py; the format is told in",
        "# dictionary/parse.rs, the licence of the sources in THIRD-PARTY.md.",
        *(f"# {name} sha256:{digest}" for name, digest in SOURCES.items()),
        "versions " + " ".join(VERSIONS),
    ]
    for noun, slots in (("segment", segments), ("datatype", types)):
        owners = sorted({owner for owner, _ in slots})
        for owner in owners:
            if noun == "segment" and not re.fullmatch("[A-Z][A-Z0-9]{2}", owner):
                continue
            title = titles[noun].get(owner, "")
            lines.append(f"{noun} {owner} {spelled(title, words)}".rstrip())
            for number in sorted(number for name, number in slots if name == owner):
                lines.extend(spans(number, slots[(owner, number)]))
    for number, title in sorted(titles["table"].items()):
        lines.append(f"table {number} {' '.join(title.split())}")
    return "\n".join(lines) + "\n"


def spans(number, versions):
    """A line for each run of versions in which the place has one name."""
    runs = []
    for version in VERSIONS:
        if version in versions:
            at, slot = chr(ord("a") + VERSIONS.index(version)), versions[version]
            if not slot.name or letters(slot.name).startswith("reservedforv"):
                continue
            if not runs or runs[-1][2] != slot.name:
                runs.append([at, at, slot.name, []])
            runs[-1][1] = at
            kind = f"{slot.type}:{slot.table}" if slot.table else slot.type
            if slot.type not in NO_TYPE and (not runs[-1][3] or runs[-1][3][-1][1] != kind):
                runs[-1][3].append((at, kind))
    for start, end, name, kinds in runs:
        shown = " ".join(kind if at == start else at + kind for at, kind in kinds)
        yield f"{number} {start}{end} {name}|{shown}".rstrip("|")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
