//! Registers native functions, each together with its entry in the reference.

use rhai::{FuncRegistration, Module, RhaiNativeFunc, Variant};

use crate::reference::{FunctionDoc, Part};

/// The native functions with their reference. Built once for all scripts.
pub(crate) struct Vocabulary {
    module: Module,
    docs: Vec<FunctionDoc>,
}

impl Vocabulary {
    pub(crate) fn new() -> Self {
        Self { module: Module::new(), docs: Vec::new() }
    }

    /// The module for engines, and the reference by chapter.
    pub(crate) fn finish(mut self) -> (Module, Vec<FunctionDoc>) {
        self.module.build_index();
        self.docs.sort_by_key(|doc| doc.part);
        (self.module, self.docs)
    }

    /// Registers a function under the name in its signature: what stands before `(`, after a `.`.
    pub(crate) fn add<A: 'static, const N: usize, const X: bool, R, const F: bool>(
        &mut self,
        part: Part,
        signature: &'static str,
        doc: &'static str,
        function: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) where
        R: Variant + Clone,
    {
        self.document(part, signature, doc);
        self.hidden(name_of(signature), function);
    }

    /// Registers a function without an entry in the reference: a variant of one that has.
    pub(crate) fn hidden<A: 'static, const N: usize, const X: bool, R, const F: bool>(
        &mut self,
        name: &str,
        function: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) where
        R: Variant + Clone,
    {
        FuncRegistration::new(name)
            .with_volatility(true)
            .set_into_module(&mut self.module, function);
    }

    /// Adds an entry to the reference for what is no function: an indexer, a constant.
    pub(crate) fn document(&mut self, part: Part, signature: &'static str, doc: &'static str) {
        self.docs.push(FunctionDoc { part, signature, doc });
    }

    /// The name of a type in Rhai's error messages.
    pub(crate) fn named_type<T: Variant + Clone>(&mut self, name: &str) {
        self.module.set_custom_type::<T>(name);
    }

    /// `value[index]`.
    pub(crate) fn index_get<A: 'static, const X: bool, R, const F: bool>(
        &mut self,
        function: impl RhaiNativeFunc<A, 2, X, R, F> + Send + Sync + 'static,
    ) where
        R: Variant + Clone,
    {
        FuncRegistration::new_index_getter()
            .with_volatility(true)
            .set_into_module(&mut self.module, function);
    }

    /// `value[index] = new`.
    pub(crate) fn index_set<A: 'static, const X: bool, R, const F: bool>(
        &mut self,
        function: impl RhaiNativeFunc<A, 3, X, R, F> + Send + Sync + 'static,
    ) where
        R: Variant + Clone,
    {
        FuncRegistration::new_index_setter().set_into_module(&mut self.module, function);
    }

    /// `value.name`.
    pub(crate) fn getter<A: 'static, const X: bool, R, const F: bool>(
        &mut self,
        name: &str,
        function: impl RhaiNativeFunc<A, 1, X, R, F> + Send + Sync + 'static,
    ) where
        R: Variant + Clone,
    {
        FuncRegistration::new_getter(name).set_into_module(&mut self.module, function);
    }
}

fn name_of(signature: &'static str) -> &'static str {
    let name = signature.split('(').next().unwrap_or(signature);
    name.rsplit('.').next().unwrap_or(name)
}
