//! The stories: the real `tieline`, real TCP, real RabbitMQ, real disk; one file per story, one
//! binary for all, because linking is what costs.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod straight_through;
#[cfg(test)]
mod bad_message;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod hostile_client;
#[cfg(test)]
mod misbehaving;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod foreign_clients;
#[cfg(test)]
mod event_types;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod golden_cases;
#[cfg(test)]
mod valid_events;
#[cfg(test)]
mod kill_nine;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod broken_start;
#[cfg(test)]
mod rabbitmq;
#[cfg(test)]
mod unroutable;
#[cfg(test)]
mod broker_away;
#[cfg(test)]
mod conservation;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod parked;
#[cfg(test)]
mod finding;
#[cfg(test)]
mod pause;
#[cfg(test)]
mod acknowledging;
#[cfg(test)]
mod answer_table;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod order;
#[cfg(test)]
mod duplicates;
#[cfg(test)]
mod alarms;
#[cfg(test)]
mod delivering;
#[cfg(test)]
mod entitled;
#[cfg(all(test, feature = "faults"))]
mod full_disk;
#[cfg(test)]
mod recovery;

#[cfg(test)]
mod floors;
#[cfg(test)]
mod hazards;
#[cfg(test)]
mod manual;
