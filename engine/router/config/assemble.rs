//! From the model to what the line works with: listeners, sources, the broker's address.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use record::dialect::Dialect;
use record::marks::Marks;
use record::mns;
use record::notification::Shape;
use record::source::{self, LocalAuthority, NhsNumberRules};

use crate::alert_plan::{AlertsPlan, OnAlertPlan};
use crate::broker_plan::Address;
use crate::config::alerts::OnAlert;
use crate::config::channel::{Channel, Day, IfStatusAbsent, PointOfCare, WrongCharset};
use crate::config::dialect::Part;
use crate::config::listed::MessageLocation;
use crate::config::listener::{Listener, Mllp};
use crate::config::load::Loaded;
use crate::config::model::{Amqp, Config, Environment};
use crate::config::secret::{HttpUrl, RevealError, Revealed, SecretUrl};
use crate::config::segments::local_names;
use crate::config::subscriber::{Filter, Format, Http, Mns, Refused, Sees, Subscriber};
use crate::delivery_plan::{DeliveryPlan, Form};
use crate::entitlement::Entitlement;
use crate::routes::{Pattern, Subscription};
use crate::silence::ExpectPlan;

/// One address to listen on, and who gets what arrives there.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedListener {
    pub settings: Mllp,
    /// Positions of its channels in the configuration, in order: the first that accepts gets it.
    pub channels: Vec<usize>,
}

/// The listeners, in the order of their first channels. Channels with the same address share one;
/// port 0 asks the operating system for a free port and is a listener for each channel.
pub fn listeners(config: &Config) -> Vec<SharedListener> {
    let mut plans: Vec<SharedListener> = Vec::new();
    for (at, (_, channel)) in config.channels.iter().enumerate() {
        let Listener::Mllp(settings) = &channel.listener;
        let own = settings.listen.0.port() == 0;
        match plans.iter_mut().find(|plan| !own && plan.settings.listen == settings.listen) {
            Some(plan) => plan.channels.push(at),
            None => plans.push(SharedListener { settings: settings.clone(), channels: vec![at] }),
        }
    }
    plans
}

/// What the record knows of each channel's system, in the order of the channels.
pub fn sources(loaded: &Loaded) -> Vec<Arc<source::Source>> {
    let config = &loaded.config;
    config.channels.iter().map(|(name, channel)| Arc::new(source(config, name, channel))).collect()
}

fn source(config: &Config, name: &str, channel: &Channel) -> source::Source {
    let said = &channel.source;
    let local = channel.identity.local.iter().map(|local| LocalAuthority {
        authority: local.authority.clone(),
        kind: local.r#type.clone(),
        default: local.default,
    });
    source::Source {
        site: said.site.as_ref().map(ToString::to_string),
        sites: said.sites.iter().map(ToString::to_string).collect(),
        namespace: config.events.namespace.clone(),
        zone: said.zone.0.clone(),
        charset: said.charset.0,
        wrong_charset: match said.wrong_charset {
            WrongCharset::Trust => source::WrongCharset::Trust,
            WrongCharset::Fallback => source::WrongCharset::Fallback,
            WrongCharset::Park => source::WrongCharset::Park,
        },
        tolerate: said.tolerate.iter().map(|name| name.0).collect(),
        nhs_number: nhs_number(config, channel),
        local: local.collect(),
        point_of_care: match said.point_of_care {
            PointOfCare::Uk => source::PointOfCare::Uk,
            // What is in an order of its own is put into the international one.
            PointOfCare::International | PointOfCare::Components(_) => {
                source::PointOfCare::International
            }
        },
        death_revoked: said.death_revoked.clone(),
        sex: said.sex.iter().map(|(own, sex)| (own.clone(), sex.code().to_owned())).collect(),
        dialect: dialect(channel),
        segments: local_names(&said.segments),
        ..source::Source::new(name, said.organisation.as_str())
    }
}

fn dialect(channel: &Channel) -> Dialect {
    let said = &channel.source;
    let places = |list: &[MessageLocation]| list.iter().map(|place| place.0).collect();
    let facilities = said.facilities.iter().map(|(name, code)| (name.clone(), code.to_string()));
    let events = said.events.iter().map(|(from, remap)| (from.to_string(), remap.known()));
    let location = match &said.point_of_care {
        PointOfCare::Components(parts) => parts.iter().map(|part: &Part| part.known()).collect(),
        PointOfCare::Uk | PointOfCare::International => Vec::new(),
    };
    Dialect {
        events: events.collect(),
        facilities: facilities.collect(),
        identifiers: channel.identity.positions.iter().map(|at| at.known()).collect(),
        telecom: said.telecom.iter().map(|at| at.known()).collect(),
        location,
        placeholders: said.placeholders.known(),
        visit: places(&said.visit.number),
        merged_visit: places(&said.visit.merged),
        ignore_offset: said.ignore_offset,
    }
}

fn nhs_number(config: &Config, channel: &Channel) -> NhsNumberRules {
    let said = &channel.identity.nhs_number;
    NhsNumberRules {
        authorities: said.authorities.clone(),
        types: said.types.clone(),
        other_authorities: said.other_authorities.clone(),
        fallbacks: said.fallbacks.iter().map(|place| place.0).collect(),
        trust: said.trust.iter().map(|status| status.0).collect(),
        if_status_absent: match said.if_status_absent {
            IfStatusAbsent::Key => source::IfStatusAbsent::Key,
            IfStatusAbsent::DoNotKey => source::IfStatusAbsent::DoNotKey,
        },
        status_in_check_digit: said.status_in_check_digit,
        // Refused by the check already; said again here because a wrong key harms a patient.
        test_data: channel.source.test_data && config.engine.environment != Environment::Live,
    }
}

/// Who gets what, and from when on not.
pub fn subscription(name: &str, said: &Subscriber) -> Subscription {
    let entitlements = said.entitlements.iter().filter(|_| said.restricted);
    Subscription {
        from: said.from.iter().map(ToString::to_string).collect(),
        organisation: said.organisation.as_ref().map(ToString::to_string),
        bulk: said.bulk,
        entitlements: entitlements
            .map(|entitlement| Entitlement {
                mark: mark(entitlement.sees),
                sees: entitlement.sees.as_str(),
                until: entitlement.until.end(),
            })
            .collect(),
        ..Subscription::new(
            name,
            said.queue(name),
            said.receives.iter().map(|pattern| Pattern::new(&pattern.to_string())).collect(),
        )
    }
}

fn mark(sees: Sees) -> Marks {
    match sees {
        Sees::Protected => Marks { protected: true, ..Marks::NONE },
        Sees::Dissent => Marks { dissent: true, ..Marks::NONE },
        Sees::Safeguarding => Marks { safeguarding: true, ..Marks::NONE },
        Sees::Confidential => Marks { confidential: true, ..Marks::NONE },
    }
}

/// To whom the engine itself delivers, with secrets fetched.
pub fn delivery(
    subscription: &Subscription,
    said: &Http,
    base: &Path,
) -> Result<DeliveryPlan, RevealError> {
    let headers = said
        .headers
        .iter()
        .map(|header| Ok::<_, RevealError>((header.name.clone(), header.value.reveal(base)?)));
    Ok(DeliveryPlan {
        subscription: subscription.clone(),
        url: web_address(&said.url, base)?,
        headers: headers.collect::<Result<_, _>>()?,
        timeout: said.timeout.0,
        form: match &said.format {
            Format::Cloudevents => Form::CloudEvents,
            Format::Mns(mns) => Form::Mns(Box::new(signal(mns))),
            Format::SubscriptionNotification(notification) => Form::Notification(Box::new(Shape {
                signal: signal(&notification.signal),
                subscription: notification.subscription.clone(),
                hydrate: notification.hydrate,
            })),
        },
        skips_refused: said.refused == Refused::Skip,
    })
}

fn signal(said: &Mns) -> mns::Rules {
    let filter = |filter: &Filter| match filter {
        Filter::GeneralPractitioner => mns::Filter::GeneralPractitioner,
        Filter::SourceOrganisation => mns::Filter::SourceOrganisation,
        Filter::SourceApplication => mns::Filter::SourceApplication,
        Filter::Site => mns::Filter::Site,
        Filter::Action => mns::Filter::Action,
    };
    mns::Rules {
        source: said.source.clone(),
        producer: said.producer.clone(),
        types: said.types.clone(),
        dataref: said.dataref.clone(),
        filtering: said.filtering.iter().map(filter).collect(),
    }
}

/// An address to post to; a secret is looked at only now.
fn web_address(url: &SecretUrl<HttpUrl>, base: &Path) -> Result<Revealed, RevealError> {
    let url = url.reveal(base)?;
    if ["https://", "http://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
        Ok(url)
    } else {
        Err(RevealError::NoAddress)
    }
}

/// Where the broker is, with its secrets fetched.
pub fn address(amqp: &Amqp, base: &Path) -> Result<Address, RevealError> {
    let url = amqp.url.reveal(base)?;
    let url = url.expose();
    let (scheme, rest) = url.split_once("://").unwrap_or(("amqp", url));
    let (user, place) =
        rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
    let user = match (&amqp.password, user) {
        (Some(password), user) => {
            let name = user.map_or("guest", |user| user.split(':').next().unwrap_or(user));
            Some(format!("{name}:{}", escaped(password.reveal(base)?.expose())))
        }
        (None, user) => user.map(str::to_owned),
    };
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let heartbeat = amqp.heartbeat.0.as_secs();
    let (mark, own) =
        if place.contains('?') { ('&', place.contains("heartbeat=")) } else { ('?', false) };
    let query = if own { String::new() } else { format!("{mark}heartbeat={heartbeat}") };
    let shown = place.split('?').next().unwrap_or(place);
    Ok(Address {
        url: format!("{scheme}://{user}{place}{query}"),
        shown: format!("{scheme}://{shown}"),
    })
}

/// When a channel's silence is a fault.
pub fn expect(channel: &Channel) -> Option<ExpectPlan> {
    channel.expect.as_ref().map(|said| ExpectPlan {
        every: said.every.0,
        between: said.between,
        days: said.days.iter().copied().map(Day::weekday).collect(),
        zone: channel.source.zone.0.clone(),
    })
}

/// When alarms are raised and who is told, with secrets fetched.
pub fn alerts(loaded: &Loaded) -> Result<AlertsPlan, RevealError> {
    let said = &loaded.config.alerts;
    let on_alert = match &said.on_alert {
        None => None,
        Some(OnAlert::Exec(words)) => words.split_first().map(|(program, arguments)| {
            let here = program.contains('/');
            OnAlertPlan::Exec {
                program: if here { loaded.base.join(program) } else { program.into() },
                arguments: arguments.to_vec(),
            }
        }),
        Some(OnAlert::Webhook(webhook)) => {
            let url = web_address(&webhook.url, &loaded.base)?;
            let header = match &webhook.header {
                None => None,
                Some(header) => Some((header.name.clone(), header.value.reveal(&loaded.base)?)),
            };
            Some(OnAlertPlan::Webhook { url, header })
        }
    };
    Ok(AlertsPlan {
        on_alert,
        held: said.held.after.0,
        held_result: said.held.with_results.0,
        pending: said.pending.after.0,
    })
}

/// A password as it may stand in an address (RFC 3986, section 2.1).
fn escaped(password: &str) -> String {
    let mut text = String::new();
    for byte in password.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a String takes all that is written to it");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::bundle::Bundle;
    use crate::config::load::understand;

    fn loaded(text: &str) -> Loaded {
        let bundle = Bundle {
            files: vec![("c.yaml".to_owned(), text.to_owned())],
            transforms: Some(PathBuf::new()),
            scripts: [("x.rhai".to_owned(), "fn transform(msg) { filter(\"no\") }\n".to_owned())]
                .into(),
            ..Bundle::default()
        };
        understand(bundle, Vec::new()).expect("loads")
    }

    fn feed(name: &str, port: u16, more: &str) -> String {
        format!(
            "  {name}: {{ listener: {{ mllp: {{ listen: 127.0.0.1:{port} }} }}, \
             accept: {{ types: [{more}] }}, source: {{ organisation: RXX }}, \
             transform: {{ script: x.rhai }} }}\n"
        )
    }

    #[test]
    fn channels_share_a_listener_unless_they_leave_the_port_to_the_system() {
        let text =
            [("a", 1, "ADT"), ("b", 2, "ADT"), ("c", 1, "ORU"), ("d", 0, "ADT"), ("e", 0, "ADT")]
                .map(|(name, port, types)| feed(name, port, types))
                .concat();
        let loaded = loaded(&format!("channels:\n{text}"));
        let plans = listeners(&loaded.config);
        let channels: Vec<_> = plans.into_iter().map(|plan| plan.channels).collect();
        assert_eq!(channels, [vec![0, 2], vec![1], vec![3], vec![4]]);
    }

    #[test]
    fn a_source_is_what_the_channel_says_above_its_preset() {
        let text = "engine: { environment: test }\nchannels:\n  c: { listener: { mllp: { listen: 127.0.0.1:1 } }, \
             source: { preset: hl7-2.3.1-community, organisation: RYY, test_data: true, charset: 8859/15 }, \
             identity: { nhs_number: { if_status_absent: key } }, transform: { script: x.rhai } }\n";
        let sources = sources(&loaded(text));
        let source = &sources[0];
        assert_eq!((source.name.as_str(), source.organisation.as_str()), ("c", "RYY"));
        assert!(source.nhs_number.test_data && source.nhs_number.status_in_check_digit);
        assert_eq!(source.nhs_number.fallbacks.len(), 2);
        assert_eq!(source.nhs_number.if_status_absent, source::IfStatusAbsent::Key);
        assert_eq!(source.charset.name(), "ISO-8859-15");
    }

    #[test]
    fn an_alarm_finds_its_program_and_its_secret_below_the_folder_of_the_file() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("hook"), "https://alerts/s3cret\n").expect("write");
        let plan = |on_alert: &str| {
            let text =
                format!("alerts: {{ on_alert: {on_alert} }}\nchannels:\n{}", feed("a", 1, "ADT"));
            let loaded = Loaded { base: folder.path().to_owned(), ..loaded(&text) };
            alerts(&loaded).map(|plan| plan.on_alert)
        };
        let exec = |program: PathBuf| OnAlertPlan::Exec { program, arguments: vec!["-x".into()] };
        let found = plan("{ exec: [./page, -x] }").expect("plan");
        assert_eq!(found, Some(exec(folder.path().join("./page"))));
        assert_eq!(plan("{ exec: [page, -x] }").expect("plan"), Some(exec("page".into())));
        let found = plan("{ webhook: { url: { file: hook } } }").expect("plan");
        assert!(!format!("{found:?}").contains("s3cret"));
        let Some(OnAlertPlan::Webhook { url, .. }) = found else { panic!("no webhook") };
        assert_eq!(url.expose(), "https://alerts/s3cret");
        std::fs::write(folder.path().join("hook"), "alerts\n").expect("write");
        let found = plan("{ webhook: { url: { file: hook } } }");
        assert!(matches!(found, Err(RevealError::NoAddress)), "{found:?}");
    }

    #[test]
    fn the_address_of_the_broker_is_shown_without_user_and_password() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("password"), "p@ss/word\n").expect("write");
        let text = format!(
            "broker: {{ amqp: {{ url: amqp://tie@rabbit:5672/tie, password: {{ file: password }} }} }}\n\
             channels:\n{}",
            feed("a", 1, "ADT")
        );
        let config = loaded(&text).config;
        let Some(crate::config::model::Broker::Amqp(amqp)) = &config.broker else { return };
        let found = address(amqp, folder.path()).expect("address");
        assert_eq!(found.url, "amqp://tie:p%40ss%2Fword@rabbit:5672/tie?heartbeat=10");
        assert_eq!(found.shown, "amqp://rabbit:5672/tie");
        assert!(address(amqp, Path::new("/no/such/folder")).is_err());
    }
}
