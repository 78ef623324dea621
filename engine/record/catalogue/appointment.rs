//! Appointments (HL7 v2 chapter 10).

use super::{EventType, HAPPENED};

const APPOINTMENT: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: HAPPENED,
    resources: &["Patient", "Appointment"],
    cleared: "`\"\"` in a field of SCH names the element of Appointment that the field becomes, as in \
              `Appointment.reasonCode`; of Patient as in `patient.updated`.",
    replaced: "No list of Appointment; of Patient as in `patient.updated`.",
    shown_by: "SCH-7",
    engine: false,
    restricted: false,
    heading: "Future appointments",
};

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "appointment.booked",
        description: "An appointment was made.",
        trigger: "SIU S12; A05 of class O, from a system without SIU.",
        ..APPOINTMENT
    },
    EventType {
        name: "appointment.rescheduled",
        description: "An appointment was moved to another time. It keeps its number (SCH-2, SCH-1).",
        trigger: "SIU S13.",
        ..APPOINTMENT
    },
    EventType {
        name: "appointment.modified",
        description: "Something of an appointment other than its time changed.",
        trigger: "SIU S14, and S18 to S22 (services and resources).",
        ..APPOINTMENT
    },
    EventType {
        name: "appointment.cancelled",
        description: "An appointment will not take place.",
        trigger: "SIU S15, S16; A38 of class O, from a system without SIU.",
        ..APPOINTMENT
    },
    EventType {
        name: "appointment.deleted",
        description: "An appointment was recorded in error and never existed.",
        trigger: "SIU S17.",
        ..APPOINTMENT
    },
    EventType {
        name: "appointment.no-show",
        description: "A patient did not come to an appointment.",
        trigger: "SIU S26.",
        times: &["SCH-11.4", "TQ1-7", "EVN-6", "EVN-2", "MSH-7"],
        heading: "Attendance details",
        ..APPOINTMENT
    },
];
