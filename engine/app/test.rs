//! `tieline test`: golden cases, with a difference that a person can read.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::arguments::{Configuration, TestArgs};
use crate::exit::Exit;
use crate::golden::{self, Case, GivenFile, Statement};
use crate::junit;
use crate::output::Output;
use crate::paint::Paint;
use crate::rehearsal::{self, Earlier, Stage};
use crate::verdict::{Tested, Verdict, difference};

/// What is stamped on events as `configversion`: expectations outlive configurations.
const VERSION: &str = "test";

/// Where cases are, below the configuration's folder.
const FOLDER: &str = "transforms/tests";

pub(crate) fn run(args: &TestArgs) -> Result<Exit> {
    let Some(mut loaded) = args.configuration.load_or_explain()? else { return Ok(Exit::Wrong) };
    let folder = loaded.base.join(FOLDER);
    let cases = golden::select(golden::find(&folder)?, &args.only)?;
    if cases.is_empty() {
        bail!("there are no cases in {}", folder.display());
    }
    VERSION.clone_into(&mut loaded.version);
    let stage = Stage::set(loaded)?;

    let mut output = Output::standard();
    let mut all = Vec::with_capacity(cases.len());
    for case in cases {
        let tested = test(case, &stage, args);
        show(&mut output, &tested)?;
        all.push(tested);
    }
    if let Some(file) = &args.junit {
        junit::write(file, &all)?;
    }
    output.line(closing_line(&all, output.paint))?;
    Ok(Exit::well_if(all.iter().all(Tested::is_well)))
}

fn test(case: Case, stage: &Stage, args: &TestArgs) -> Tested {
    let started = Instant::now();
    let mut printed = Vec::new();
    let verdict = judge(&case, stage, args, &mut printed)
        .unwrap_or_else(|error| Verdict::Broken(format!("{error:#}")));
    Tested { case, verdict, printed, took: started.elapsed() }
}

fn judge(
    case: &Case,
    stage: &Stage,
    args: &TestArgs,
    printed: &mut Vec<String>,
) -> Result<Verdict> {
    let given = case.given()?;
    let with_settings;
    let stage = if given.settings.is_empty() {
        stage
    } else {
        with_settings = stage_with(&given, case, &args.configuration)?;
        &with_settings
    };
    let channel = stage.channel(&case.channel)?;
    let mut setting = given.given()?;
    for earlier in case.earlier(&given)? {
        let channel = stage.channel(&earlier.channel)?.clone();
        setting.before.push(Earlier { channel, frame: earlier.message()? });
    }
    let mut played = rehearsal::play(channel, case.message()?, &setting)?;
    if let Some((_, processed)) = &mut played.making {
        printed.append(&mut processed.printed);
    }

    let found = Statement::of(&played);
    let expected = case.expected()?;
    if expected.as_ref() == Some(&found) {
        return Ok(Verdict::Passed);
    }
    if args.update {
        case.write_expected(&found)?;
        return Ok(Verdict::Updated);
    }
    let expected = expected.map_or_else(String::new, |it| it.in_order_of(&found).text());
    Ok(Verdict::Different { expected, found: found.text() })
}

/// The configuration once more, with a case's own settings.
fn stage_with(given: &GivenFile, case: &Case, configuration: &Configuration) -> Result<Stage> {
    let mut configuration = configuration.clone();
    for (name, value) in &given.settings {
        let key = format!("channels.{}.transform.settings.{name}", case.channel);
        // JSON is YAML, so that a text stays a text.
        configuration.set.push(format!("{key}={value}"));
    }
    match configuration.load() {
        Ok(mut loaded) => {
            VERSION.clone_into(&mut loaded.version);
            Stage::set(loaded)
        }
        Err(failure) => {
            let messages: Vec<_> =
                failure.problems.iter().map(|problem| problem.message.as_str()).collect();
            bail!("its settings do not fit the channel: {}", messages.join("; "))
        }
    }
}

fn show(output: &mut Output, tested: &Tested) -> Result<()> {
    let paint = output.paint;
    let title = tested.case.title();
    match &tested.verdict {
        Verdict::Passed => output.line(format_args!("{}  {title}", paint.green("ok     ")))?,
        Verdict::Updated => output.line(format_args!("{}  {title}", paint.yellow("updated")))?,
        Verdict::Broken(why) => {
            output.line(format_args!("{}  {title}\n  {why}", paint.red("FAILED ")))?;
        }
        Verdict::Different { expected, found } => {
            output.line(format_args!("{}  {title}", paint.red("FAILED ")))?;
            if expected.is_empty() {
                output.line("  nothing is expected yet: `tieline test --update` writes it down")?;
            }
            output.text(difference(expected, found, paint))?;
        }
    }
    if !tested.is_well() {
        for line in &tested.printed {
            output.line(format_args!("  printed: {line}"))?;
        }
    }
    Ok(())
}

fn closing_line(all: &[Tested], paint: Paint) -> String {
    let updated = all.iter().filter(|one| matches!(one.verdict, Verdict::Updated)).count();
    let failed = all.iter().filter(|one| !one.is_well()).count();
    let line = format!("{} passed, {failed} failed", all.len() - failed - updated);
    let line = if updated > 0 { format!("{line}, {updated} updated") } else { line };
    if failed > 0 { paint.red(&line) } else { paint.green(&line) }
}
