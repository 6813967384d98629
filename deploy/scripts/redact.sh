# Takes the secrets of the env file out of text, on the host, before anything is journaled or shown.
# Expects: env_file (absolute path), secret_words (array), secret_min_length.

# redact: copy stdin to stdout line by line, as it comes, each secret of the env file replaced by [KEY].
# awk reads the file by itself, so that no secret stands on a command line or in an environment.
redact() {
  local prompt=() file=$env_file
  # mawk reads a pipe in blocks unless told otherwise; gawk doesn't know the option.
  case $(awk -W version 2>&1 </dev/null) in mawk*) prompt=(-W interactive) ;; esac
  # Where the folder can't be searched, nobody knows whether the file exists: then it counts as unreadable.
  if [ ! -e "$file" ] && [ -x "${file%/*}/" ]; then file=; fi
  if [ -d "$file" ]; then file=$file/unreadable; fi
  REDACT_FILE=$file REDACT_NAME=${env_file##*/} REDACT_WORDS="${secret_words[*]}" REDACT_MIN=$secret_min_length \
    LC_ALL=C awk ${prompt[@]+"${prompt[@]}"} "$redact_program"
}

# redact_records: the same for records, but of these the facts pass untouched: what record_fields names, without a *.
redact_records() {
  REDACT_FIELDS=$(printf '%s\n' "${record_fields[@]}") redact
}

redact_program='
BEGIN {
  shortest = ENVIRON["REDACT_MIN"] + 0
  words = split(toupper(ENVIRON["REDACT_WORDS"]), word, " ")
  for (i = 1; i < 256; i++) { byte = sprintf("%c", i); code[byte] = i; char[i] = byte }
  withheld = !read_secrets(ENVIRON["REDACT_FILE"])
  notice = "(withheld: " ENVIRON["REDACT_NAME"] " cannot be read, so secrets could not be removed)"
  records = split(ENVIRON["REDACT_FIELDS"], line, "\n")
  for (i = 1; i <= records; i++)
    for (n = split(line[i], field, " "); n > 1; n--) if (field[n] !~ /\*$/) fact[field[1], n] = 1
}

{ print records ? cleaned_record($0) : shown($0); fflush() }

function shown(text) { return withheld ? notice : secrets ? cleaned(text) : text }

# What is empty stays so: that there is no text is a fact.
function cleaned_record(line,    n, i, field, done) {
  n = split(line, field, "\t")
  done = field[1]
  for (i = 2; i <= n; i++)
    done = done "\t" (((field[1], i) in fact || field[i] == "") ? field[i] : shown(field[i]))
  return done
}

# Marks stand in for [KEY] until the end, so that no secret is looked for inside the name of another.
function cleaned(text,    i, mark, hidden) {
  gsub(/[\001\002]/, "", text)
  for (i = 1; i <= secrets; i++) {
    if (!index(text, secret[i])) continue
    mark = "\001" i "\002"
    text = replaced(text, secret[i], mark)
  }
  hidden = disguised(text)
  if (hidden) return "(withheld: a line with [" key_of[hidden] "] in it)"
  while (match(text, /\001[0-9]+\002/)) {
    i = substr(text, RSTART + 1, RLENGTH - 2)
    text = substr(text, 1, RSTART - 1) "[" key_of[i] "]" substr(text, RSTART + RLENGTH)
  }
  return text
}

function replaced(text, old, new,    at, done) {
  while (at = index(text, old)) {
    done = done substr(text, 1, at - 1) new
    text = substr(text, at + length(old))
  }
  return done text
}

# Is a secret left in a spelling that nobody listed, half encoded or half escaped? Its number, or 0.
function disguised(text,    i, plain, plainer) {
  if (text !~ /[%\\]/) return 0
  plain = percent_decoded(text); plainer = percent_decoded(unescaped(text))
  text = unescaped(plain)
  for (i = 1; i <= secrets; i++)
    if (index(plain, secret[i]) || index(plainer, secret[i]) || index(text, secret[i])) return i
  return 0
}

# Reads more than any one tool would (Compose, a shell and dotenv differ): each reading that makes a secret is one.
function read_secrets(file,    n, i, j, got, line, text, key, quote, owner) {
  if (file == "") return 1
  while ((got = (getline text < file)) > 0) { sub(/\r$/, "", text); line[++n] = text }
  close(file)
  if (got < 0) return 0
  sub(/^\357\273\277/, "", line[1])
  for (i = 1; i <= n; i++) {
    if (!match(line[i], /^[ \t]*(export[ \t]+)?[A-Za-z_][A-Za-z0-9_.-]*[ \t]*[=:]/)) continue
    key = substr(line[i], 1, RLENGTH - 1)
    sub(/^[ \t]*(export[ \t]+)?/, "", key); sub(/[ \t]+$/, "", key)
    if (!secretive(key)) continue
    if (i in owner) key = owner[i]
    text = trimmed(substr(line[i], RLENGTH + 1))
    learn_value(text, key)
    quote = substr(text, 1, 1)
    if (quote !~ /["\047]/ || closing(text, quote, 2)) continue
    for (j = i + 1; j <= n && !closing(line[j], quote, 1); j++);
    if (j > n) continue
    learn_lines(substr(text, 2), key)
    for (got = i + 1; got < j; got++) { owner[got] = key; learn_lines(line[got], key) }
    owner[j] = key
    learn_lines(substr(line[j], 1, closing(line[j], quote, 1) - 1), key)
  }
  longest_first()
  return 1
}

function secretive(key,    i) {
  for (i = 1; i <= words; i++) if (index(toupper(key), word[i])) return 1
  return 0
}

function trimmed(text) { sub(/^[ \t]+/, "", text); sub(/[ \t]+$/, "", text); return text }

# Where the quote ends that was opened before position i; 0 if it does not.
function closing(text, quote, i,    c) {
  for (; i <= length(text); i++) {
    c = substr(text, i, 1)
    if (c == "\\") i++
    else if (c == quote) return i
  }
  return 0
}

function learn_value(text, key,    quote, end, bare) {
  quote = substr(text, 1, 1)
  end = quote ~ /["\047]/ ? closing(text, quote, 2) : 0
  if (end) {
    learn(substr(text, 2, end - 2), key)
    # In single quotes a backslash may be itself, and the quote ends sooner.
    end = index(substr(text, 2), quote)
    learn(substr(text, 2, end - 1), key)
    if (text ~ ("^" quote ".*" quote "$")) { learn(substr(text, 2, length(text) - 2), key); return }
  } else learn(text, key)
  bare = text
  sub(/[ \t]+#.*$/, "", bare)
  if (!end) learn(bare, key)
  gsub(/["\047]/, "", bare)
  learn(bare, key)
}

function learn_lines(text, key) { learn(text, key); learn(trimmed(text), key) }

# Every spelling of a value that is long enough to be a secret.
function learn(value, key,    plain, single) {
  if (length(value) < shortest) return
  plain = unescaped(value)
  learn_pieces(value, key)
  learn_pieces(plain, key)
  single = value; gsub(/\$\$/, "$", single); learn_pieces(single, key)
  single = plain; gsub(/\$\$/, "$", single); learn_pieces(single, key)
}

function learn_pieces(value, key,    n, i, piece) {
  n = split(value, piece, /[\r\n]+/)
  for (i = 1; i <= n; i++) {
    if (n > 1 && length(piece[i]) < shortest) continue
    learn_spellings(piece[i], key)
    learn_password(piece[i], key)
  }
}

# scheme://user:PASSWORD@host: an @ in the password should be encoded, but often is not.
function learn_password(url, key,    at, user, end) {
  if (!(at = index(url, "://"))) return
  url = substr(url, at + 3)
  if (!(user = index(url, ":"))) return
  url = substr(url, user + 1)
  for (end = index(url, "@"); end; end = at ? end + at : 0) {
    if (end > shortest) learn_spellings(substr(url, 1, end - 1), key)
    at = index(substr(url, end + 1), "@")
  }
}

function learn_spellings(text, key,    plain) {
  keep(text, key)
  plain = percent_decoded(text); keep(plain, key)
  keep(percent_encoded(text, ""), key); keep(percent_encoded(text, "/"), key)
  keep(percent_encoded(plain, ""), key); keep(percent_encoded(plain, "/"), key)
  keep(escaped(text), key); keep(escaped(plain), key)
}

function keep(text, key) {
  if (length(text) < 3 || text in known) return
  known[text] = 1
  secret[++secrets] = text
  key_of[secrets] = key
}

function longest_first(    i, j, text, key) {
  for (i = 2; i <= secrets; i++) {
    text = secret[i]; key = key_of[i]
    for (j = i - 1; j && length(secret[j]) < length(text); j--) { secret[j + 1] = secret[j]; key_of[j + 1] = key_of[j] }
    secret[j + 1] = text; key_of[j + 1] = key
  }
}

# As `record` escapes a field.
function escaped(text,    i, c, done) {
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    done = done (c == "\\" ? "\\\\" : c == "\t" ? "\\t" : c)
  }
  return done
}

function unescaped(text,    at, c, done) {
  while ((at = index(text, "\\")) && at < length(text)) {
    c = substr(text, at + 1, 1)
    done = done substr(text, 1, at - 1) (c == "n" ? "\n" : c == "r" ? "\r" : c == "t" ? "\t" : c)
    text = substr(text, at + 2)
  }
  return done text
}

function percent_decoded(text,    at, high, low, done) {
  while (at = index(text, "%")) {
    high = hex(text, at + 1); low = hex(text, at + 2)
    if (high && low && high + low > 2) {
      done = done substr(text, 1, at - 1) char[(high - 1) * 16 + low - 1]
      text = substr(text, at + 3)
    } else {
      done = done substr(text, 1, at)
      text = substr(text, at + 1)
    }
  }
  return done text
}

# One more than the digit at i; 0 if there is none.
function hex(text, i) {
  return i > length(text) ? 0 : index("0123456789abcdef", tolower(substr(text, i, 1)))
}

function percent_encoded(text, safe,    i, c, done) {
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    done = done ((c ~ /[A-Za-z0-9_.~-]/ || index(safe, c)) ? c : sprintf("%%%02X", code[c]))
  }
  return done
}
'
