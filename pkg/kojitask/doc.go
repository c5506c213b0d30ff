// Package kojitask builds modules as tasks of Koji. It is what a builder's
// moduleBuild task runs: it decides what is built and under which identity, has
// every component rebuilt as a subtask, makes the module's repository, and asks
// the hub to publish repository and build record together.
//
// Koji is the only database. What is decided once is written down in the
// reservation, and what is done is seen from the task's children, tags and
// repositories. So a run that was killed at any moment can be started again and
// goes on, and nothing is built twice.
//
// The hub's part, which needs rights that no builder has, is in
// plugins/hub/module_build.py; the handler that starts this, and lends it the
// session, is plugins/builder/module_build.py.
package kojitask
