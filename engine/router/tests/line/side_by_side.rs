use std::sync::Arc;
use std::time::Duration;

use crate::line::bench::Line;
use crate::line::broker::Memory;

const PATIENTS: usize = 7;
const EACH: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_per_patient_at_a_time_in_order_and_patients_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::slow(200));
    let line = Line::start(folder.path(), &broker, 2048);
    for number in 0..EACH {
        for patient in 0..PATIENTS {
            line.send(patient, number).await;
        }
    }
    let all = broker.wait_for(PATIENTS * EACH);
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("everything is published");
    line.stop().await;
    let state = broker.state();
    for (patient, control_ids) in &state.receipts {
        assert_eq!(control_ids.len(), EACH);
        assert!(control_ids.is_sorted(), "patient {patient}: {control_ids:?}");
    }
    assert!(state.side_by_side > 1, "patients ran side by side");
}
