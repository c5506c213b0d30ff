package scenario

// anonymous asks as nobody, and wrongly.
func (r *run) anonymous(c *conn) {
	c.call("getAPIVersion")
	c.call("getLoggedInUser")
	c.call("no.such.method")
	c.call("getBuild", "a-1-1", false, "too", "many")
	c.call("getBuild", named{"noSuchName": 1})
	c.call("getTag")
	c.call("subsession")
	c.call("logout")
	c.call("host.getID")
	c.call("createTag", r.name("none"))
	c.call("makeTask", "sleep", []any{0})
	c.call("login", r.conf.User.User, "not the password")
	c.call("login", r.name("nobody"), "x")
}

// sessions are about the numbers of calls, subsessions and renewal. makeTask is what
// changes the database: its tasks are for a host that no daemon is.
func (r *run) sessions(admin *conn) {
	r.step = "numbers of calls"
	task := func(num int64, header string) any {
		return admin.numbered(num, header, "makeTask", "nothing", []any{}, named{"assign": r.conf.Host.User})
	}
	admin.numbered(5, bothHeaders, "getLoggedInUser")
	admin.numbered(5, bothHeaders, "getLoggedInUser")
	admin.numbered(3, bothHeaders, "getLoggedInUser")
	first := r.number(task(10, bothHeaders))
	task(10, bothHeaders)
	admin.numbered(10, bothHeaders, "getLoggedInUser")
	admin.numbered(9, bothHeaders, "getLoggedInUser")
	task(9, bothHeaders)
	admin.numbered(11, bothHeaders, "getLoggedInUser")
	admin.numbered(11, bothHeaders, "makeTask", "nothing", []any{}, named{"channel": r.name("no-channel")})
	task(11, bothHeaders)
	task(-1, bothHeaders)
	task(-1, bothHeaders)
	admin.numbered(12, newHeader, "getAPIVersion")
	task(12, newHeader)
	task(12, newHeader)
	task(13, oldHeader)
	task(13, oldHeader)
	admin.next = 20
	r.step = "several calls in one"
	calls := func(list ...any) []any { return list }
	one := func(method string, params ...any) any {
		return map[string]any{"methodName": method, "params": append([]any{}, params...)}
	}
	admin.call("multiCall", calls(one("getAPIVersion"), one("no.such.method"), one("createTag", r.name("in-multicall"))))
	admin.numbered(20, bothHeaders, "multiCall", calls(one("getAPIVersion")))
	admin.call("multiCall", calls(one("getAPIVersion")))
	admin.numbered(21, bothHeaders, "multiCall", calls(one("getAPIVersion")))
	admin.call("multiCall", calls(one("createTag", r.name("in-multicall"))))
	admin.numbered(22, bothHeaders, "multiCall", calls(one("getAPIVersion")))
	r.subsessions(first)
}

func (r *run) subsessions(task int64) {
	r.step = "subsessions"
	user := r.login("user", r.conf.User)
	user.call("getLoggedInUser")
	user.call("login", r.conf.User.User, r.conf.User.Password)
	user.call("makeTask", "nothing", []any{})
	user.call("cancelTask", task)
	sub := (&conn{r: r, who: "user's subsession"}).take(user.call("subsession"))
	sub.call("getLoggedInUser")
	user.numbered(user.next-1, bothHeaders, "subsession")
	wrong := *sub
	wrong.key += "x"
	wrong.call("getLoggedInUser")
	if r.conf.Expire != nil {
		r.renewal(user, sub)
	}
	r.step = "logout"
	user.call("logout")
	user.call("getLoggedInUser")
	sub.call("getLoggedInUser")
}

func (r *run) renewal(user, sub *conn) {
	r.step = "renewal"
	renew := named{"renew": true}
	expire := func(c *conn) {
		if r.err == nil {
			if err := r.conf.Expire(r.ctx, c.id); err != nil {
				r.fail(err)
			}
		}
	}
	user.call("login", r.conf.User.User, r.conf.User.Password, renew)
	user.call("subsession") // so that its number is kept
	num := user.next
	expire(user)
	user.call("getLoggedInUser")
	user.call("no.such.method")
	user.call("logout")
	key := user.key
	user.take(user.numbered(num, bothHeaders, "login", r.conf.User.User, r.conf.User.Password, renew))
	user.next = num
	user.call("getLoggedInUser")
	user.numbered(num-1, bothHeaders, "getLoggedInUser")
	old := *user
	old.key = key
	old.call("getLoggedInUser")
	expire(user)
	user.take(user.numbered(-1, bothHeaders, "login", r.conf.User.User, r.conf.User.Password, renew))
	user.next = num + 1
	sub.call("getLoggedInUser")
	expire(sub)
	sub.call("getLoggedInUser")
	num = sub.next
	sub.take(sub.numbered(-1, bothHeaders, "login", r.conf.User.User, r.conf.User.Password, renew))
	sub.next = num
	sub.call("getLoggedInUser")
	user.call("getLoggedInUser")
}

// hosts are about exclusive sessions. It returns one of the host's.
func (r *run) hosts() *conn {
	r.step = "exclusive sessions"
	first := r.login("host", r.conf.Host)
	first.quiet("exclusiveSession", named{"force": true})
	first.quiet("sharedSession")
	first.call("host.getID")
	first.call("exclusiveSession")
	first.call("host.getID")
	first.call("exclusiveSession")
	sub := (&conn{r: r, who: "host's subsession"}).take(first.call("subsession"))
	sub.call("host.getID")
	sub.call("exclusiveSession")
	second := r.login("host again", r.conf.Host)
	second.call("getLoggedInUser")
	second.call("exclusiveSession")
	second.call("exclusiveSession", named{"force": true})
	first.call("getLoggedInUser")
	sub.call("getLoggedInUser")
	second.call("host.getID")
	second.who = "host"
	return second
}

// lost ends the host's session.
func (r *run) lost(host *conn) {
	r.step = "the end"
	host.call("logout")
	host.call("host.getID")
}
