// Package modulebuild decides what a module build is and carries it out: which
// components are built in which order, under which identity, with which macros;
// what is taken over from an earlier run; and what the finished module is.
//
// It knows no particular place where RPMs get built: that is a [Builder]'s job.
// The parts stand in the order of a build:
//
//	identity.go      version, context and time of a module build
//	disttag.go       the release suffix that marks its packages
//	dependencies.go  which streams of other modules it is built with
//	macros.go        the RPM macros in force
//	plan.go          all of it together, as a value
//	graph.go         what comes before what
//	schedule.go      running it, as much at once as the order allows
//	takeover.go      what an earlier run has built already
//	engine.go        a plan, a Builder and the results so far, to packages
//	packages.go      reading back what was built
//	finish.go        packages to finished module metadata, of one architecture or several
//	finishpackages.go which packages are part of the module
//	finisharch.go    and which of them have a place on an architecture
//	defaults.go      the document that makes its profiles installable
package modulebuild
