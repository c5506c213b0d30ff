// Package koji is a client of Koji's hub, for 1.30 and later.
//
// A [Client] knows where a hub is and how to reach it; its login methods give a
// [Session], through which calls are made:
//
//	client, err := koji.New("https://koji.example.org/kojihub", koji.Options{})
//	if err != nil {
//		return err
//	}
//	session := client.Anonymous()
//	defer session.Close()
//	build, err := session.Build(ctx, "bash-5.2.26-3.fc40")
//
// Methods of the hub that have no typed call here are called by name, with
// [Named] parameters last:
//
//	var tags []koji.Tag
//	err := session.Call(ctx, "listTags", &tags, koji.Named{"pattern": "f40-*"})
//
// # What becomes of a call when the network fails
//
// A session counts its calls, and Koji remembers the number of the last one that
// changed something. Requests that get no reply are therefore sent again with the
// same number and the same bytes, for [Options.RetryFor]. If the hub then says
// that it did it already, the error is [ErrReplyLost]: the call has had its effect,
// whose result must be read back by another. An error that is
// [ErrOutcomeUnknown] leaves open whether it had one. Every other error of Call
// other error of Call means that the hub changed nothing.
//
// # Errors
//
// A refusal of the hub is a [*Fault]; errors.Is tells them apart by Koji's own
// classes:
//
//	if errors.Is(err, koji.ErrActionNotAllowed) { … }
//
// Neither errors nor logs have passwords or session keys in them.
package koji
