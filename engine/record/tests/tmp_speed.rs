//! x
use hl7::message::{Message, Reading};
#[test]
fn speed() {
    let text = "MSH|^~\\&|PAS|RXX01|TIE|RXX|202407271422||ADT^A01^ADT_A01|000123|P|2.4\rEVN||202407271420|||op|202407271400\rPID|1||9990000018^^^NHS^NH~1234567^^^RXX01^MR||TEST^ANN^JANE^^MRS^^L~OLD^ANN^^^^^PREVIOUS||19651213|2|||1 ROAD^VILLAGE^TOWN^COUNTY^AA1 1AA^GBR^H||01130000000^PRN^PH~07700900000^PRN^CP|01130000001^WPN^PH|EN|M|||||||A||||||||||NSTS01\rPD1|||THE SURGERY^^Y06601|G5612908^SMITH^JO\rPV1|1|I|RXX^W1^B2^RXX01|2A||RXX^W0^B1^RXX01|C3456789^DOE^SAM|||300||||19|||||2139^^^VISITID|||||||||||||||||||||||||202401102316|";
    let message = Message::parse(text.as_bytes().to_vec(), &Reading::default()).unwrap();
    let mut source = record::source::Source::new("pas-adt", "RXX");
    source.nhs_number.test_data = true;
    let identity = record::identity::Identity::read(&message, &source).unwrap();
    for _ in 0..3 {
        let n = 3000;
        let t = std::time::Instant::now();
        for _ in 0..n {
            std::hint::black_box(
                record::fhir::patient::patient(&message, &source, &identity).unwrap(),
            );
        }
        let p = t.elapsed() / n;
        let t = std::time::Instant::now();
        for _ in 0..n {
            std::hint::black_box(
                record::fhir::encounter::encounter(&message, &source, None).unwrap(),
            );
        }
        println!("patient {:?} encounter {:?}", p, t.elapsed() / n);
    }
}
