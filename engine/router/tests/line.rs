//! Delivery with publishers that take their time, refuse, or lose: order per patient, what waits
//! behind what is parked, what an operator does about it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what led to a failure is shown with it")]

mod line {
    pub(crate) mod bench;
    pub(crate) mod broker;
    pub(crate) mod carrying;
    pub(crate) mod fates;
    pub(crate) mod guarded;
    pub(crate) mod held;
    pub(crate) mod joined;
    pub(crate) mod moved;
    pub(crate) mod parting;
    pub(crate) mod rebuilt;
    pub(crate) mod refused;
    pub(crate) mod replaying;
    pub(crate) mod restart;
    pub(crate) mod said;
    pub(crate) mod side_by_side;
    pub(crate) mod subscriber;
    pub(crate) mod traffic;
    pub(crate) mod unmerging;
    pub(crate) mod who;
    pub(crate) mod withholding;
}
