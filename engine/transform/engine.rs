//! The Rhai engine, hardened: what holds by itself is set, what does not is replaced.

use std::sync::{Arc, LazyLock};

use rhai::packages::{
    BasicArrayPackage, BasicMapPackage, BasicMathPackage, CorePackage, LogicPackage,
    MoreStringPackage, Package,
};
use rhai::{Engine, Module, OptimizationLevel, Scope, Shared};

use crate::limits::{self, Limits};
use crate::run;
use crate::words::WORDS;

/// The parts of Rhai's library that scripts may use: no clock, no files, no random numbers.
static PACKAGES: LazyLock<[Shared<Module>; 6]> = LazyLock::new(|| {
    [
        CorePackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
    ]
});

/// The names a script sees in every function besides its own variables.
pub(crate) const CONSTANTS: [&str; 4] = ["identity", "previous", "stated", "message_time"];

/// An engine with our words, these limits, and nothing that can be imported yet.
pub(crate) fn build(limits: &Limits) -> Engine {
    let mut engine = Engine::new_raw();
    for package in PACKAGES.iter() {
        engine.register_global_module(Arc::clone(package));
    }
    engine.register_global_module(Arc::clone(&WORDS.module));
    // Checks read the script as it was written; it is optimised afterwards.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.disable_symbol("eval");
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(true);
    engine.set_module_resolver(rhai::module_resolvers::DummyModuleResolver::new());
    bound(&mut engine, limits);
    listen(&mut engine);
    engine
}

/// The variables that exist before a script begins, for the compiler's check of names. They have no
/// values here: the values of a message come from [`run::variable`].
pub(crate) fn scope() -> Scope<'static> {
    let mut scope = Scope::new();
    for name in CONSTANTS {
        scope.push(name, ());
    }
    scope
}

fn bound(engine: &mut Engine, limits: &Limits) {
    let (outside, inside) = limits::EXPRESSION_DEPTH;
    engine
        .set_max_operations(limits.operations)
        .set_max_call_levels(limits.depth)
        .set_max_string_size(limits.text)
        .set_max_array_size(limits.items)
        .set_max_map_size(limits.items)
        .set_max_variables(limits::VARIABLES)
        .set_max_functions(limits::FUNCTIONS)
        .set_max_modules(limits::MODULES)
        .set_max_expr_depths(outside, inside);
}

#[expect(deprecated, reason = "rhai marks on_var as unstable, not as going away")]
fn listen(engine: &mut Engine) {
    engine.on_print(run::print);
    engine.on_debug(|text, _, at| run::print(&format!("{}: {text}", at.line().unwrap_or(0))));
    engine.on_progress(run::progress);
    engine.on_var(|name, index, _| run::variable(name, index > 0));
}
