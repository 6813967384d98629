# Takes the secrets of the env file out of text, on the host, before anything is journaled or shown.
# Expects: env_file (absolute path; empty: there is none, and the secrets are what the containers were given), secret_words
# (array), secret_keys (array), secret_min_length.

# Of a line so many bytes are looked at; the rest is cut off.
longest_text=65536

# redact: copy stdin to stdout line by line, as it comes, each secret of the env file replaced by [KEY]. Of a message only
# the values are looked at: its format is ours, whatever secret happens to be a word of it. A line, or a value, is a message
# only where it begins as one, as whoever reads it has it too; a mark elsewhere is text. A program that prints the mark first
# in a line passes for us so far, and could have written its secret in a way of its own as well.
redact() {
  # shellcheck disable=SC2046 # words
  bounded | redact_ $(promptly)
}

# promptly: how awk is told to take each line as it comes: mawk reads a pipe in blocks; gawk doesn't know the option.
promptly() { case $(awk -W version 2>&1 </dev/null) in mawk*) echo -W interactive ;; esac; }

# redact_records OPTION...: the same for records, but of these the facts pass untouched: what record_fields names, without
# a *.
redact_records() {
  REDACT_FIELDS=$(printf '%s\n' "${record_fields[@]}") redact_ "$@"
}

# redacted COMMAND...: run it with both of its streams cleaned; its own status is kept.
redacted() (
  set -o pipefail
  { { "$@" 2>&1 >&3 | redact >&2; } 3>&1 | redact; }
)

# bounded: a line of megabytes must not reach awk, which keeps it in memory, and mawk reads it again and again.
bounded() {
  if command -v stdbuf >/dev/null && command -v cut >/dev/null; then stdbuf -oL cut -b "-$longest_text"; else cat; fi
}

# redact_ OPTION...: awk reads the file by itself, so that no secret stands on a command line or in an environment.
redact_() {
  local file=$env_file given=
  # Where the folder can't be searched, nobody knows whether the file exists: then it counts as unreadable.
  if [ ! -e "$file" ] && [ -x "${file%/*}/" ]; then file=; fi
  if [ -d "$file" ]; then file=$file/unreadable; fi
  if [ -z "$env_file" ]; then
    exec {given}< <(environments)
    file=/dev/fd/$given
  fi
  REDACT_FILE=$file REDACT_NAME=${env_file##*/} REDACT_WORDS="${secret_words[*]}" REDACT_KEYS="${secret_keys[*]-}" \
    REDACT_MIN=$secret_min_length REDACT_LONGEST=$longest_text REDACT_MARK=$mark LC_ALL=C awk "$@" "$redact_program"
  if [ -n "$given" ]; then exec {given}<&-; fi
}

# environments: what the containers were given, as an env file has it.
environments() {
  # shellcheck disable=SC2086 # no name is none
  environments_of ${container-} ${database_container-} ${redis_container-}
}

# environments_of CONTAINER...: one that is not there is passed over. As JSON, since a value may have several lines.
environments_of() {
  [ $# = 0 ] || docker inspect --type container --format '{{range .Config.Env}}{{json .}}{{"\n"}}{{end}}' "$@" 2>/dev/null |
    sed -nE 's/^"([A-Za-z_][A-Za-z0-9_.-]*)=/\1="/p'
}

redact_program='
BEGIN {
  shortest = ENVIRON["REDACT_MIN"] + 0
  longest = ENVIRON["REDACT_LONGEST"] + 0
  words = split(toupper(ENVIRON["REDACT_WORDS"]), word, " ")
  for (n = split(toupper(ENVIRON["REDACT_KEYS"]), field, " "); n; n--) named[field[n]] = 1
  for (i = 1; i < 256; i++) { byte = sprintf("%c", i); code[byte] = i; char[i] = byte }
  spellings()
  withheld = !read_secrets(ENVIRON["REDACT_FILE"])
  mark = ENVIRON["REDACT_MARK"]
  notice = said("(withheld: %s cannot be read, so secrets could not be removed)", ENVIRON["REDACT_NAME"])
  records = split(ENVIRON["REDACT_FIELDS"], line, "\n")
  for (i = 1; i <= records; i++)
    for (n = split(line[i], field, " "); n > 1; n--) if (field[n] !~ /\*$/) fact[field[1], n] = 1
}

{ print records ? cleaned_record($0) : cleaned($0); fflush() }

# A text or a message. Where the end was cut off, that is of the last value.
function cleaned(text, cut,    n, i, field, done) {
  if (index(text, mark) != 1) return shown(text, cut)
  cut = cut || length(text) >= longest
  n = split(text, field, "\t")
  done = field[1]
  for (i = 2; i <= n; i++)
    done = done "\t" (field[i] == "" ? "" : as_field(cleaned(unescaped(field[i]), cut && i == n)))
  return done
}

# As `say` says it.
function said(format, value, more) {
  return mark format "\t" as_field(value) (more == "" ? "" : "\t" as_field(more))
}

# What is empty stays so: that there is no text is a fact.
function cleaned_record(line,    n, i, field, done) {
  n = split(line, field, "\t")
  done = field[1]
  for (i = 2; i <= n; i++)
    done = done "\t" (((field[1], i) in fact || field[i] == "") ? field[i] : as_field(cleaned(unescaped(field[i]))))
  return done
}

# As `record` escapes a field.
function as_field(text) {
  return replaced(replaced(replaced(replaced(text, "\\", "\\\\"), "\t", "\\t"), "\n", "\\n"), "\r", "\\r")
}

# Most lines hold no secret, and one look tells that.
function shown(text, cut,    hidden) {
  if (withheld) return notice
  cut = cut || length(text) >= longest
  # A secret that the end of the text cuts in two is in what is left out.
  if (cut && length(text) > longest) text = substr(text, 1, longest)
  if (secrets && text ~ suspect) text = marked(text)
  if (secrets && text ~ /[%\\&]/ && (hidden = disguised(text))) return said("(withheld: a line with [%s] in it)", key_of[hidden])
  if (cut) text = whole(substr(text, 1, length(text) - margin))
  if (index(text, "\001")) text = named_marks(text)
  if (index(text, "://")) text = without_credentials(text)
  return cut ? said("%s… (cut: longer than %s bytes)", text, longest) : text
}

# A character must not be cut in two.
function whole(text,    end) {
  end = substr(text, length(text) - 3)
  sub(/[\300-\377]?[\200-\277]*$/, "", end)
  return substr(text, 1, length(text) - 4) end
}

# Marks stand in for [KEY] until the end, so that no secret is looked for inside the name of another.
function marked(text,    i) {
  gsub(/[\001\002]/, "", text)
  for (i = 1; i <= secrets; i++) if (index(text, secret[i])) text = replaced(text, secret[i], "\001" i "\002")
  return text
}

function named_marks(text,    n, i, part, end) {
  n = split(text, part, "\001")
  put(part[1])
  for (i = 2; i <= n; i++) {
    end = index(part[i], "\002")
    put(end ? "[" key_of[substr(part[i], 1, end - 1)] "]" substr(part[i], end + 1) : "")
  }
  return all_put()
}

function replaced(text, old, new,    at) {
  while (at = index(text, old)) {
    put(substr(text, 1, at - 1) new)
    text = substr(text, at + length(old))
  }
  put(text)
  return all_put()
}

# A text is put together in blocks: to append each piece to the whole would copy that each time.
function put(text) {
  block = block text
  if (length(block) > 512) { built = built block; block = "" }
}
function all_put(    done) { done = built block; built = block = ""; return done }

# A URL shows its user and password to nobody, wherever they come from.
function without_credentials(text,    at, login) {
  while (match(text, /:\/\/[^\/?# \t"\047<>]*@/)) {
    login = substr(text, RSTART + 3, RLENGTH - 4)
    at = index(login, ":")
    if (at ? substr(login, at) !~ /^:\[[A-Za-z0-9_.-]+\]$/ : substr(text, 1, RSTART - 1) ~ /https?$/) login = "***"
    put(substr(text, 1, RSTART + 2) login "@")
    text = substr(text, RSTART + RLENGTH)
  }
  put(text)
  return all_put()
}

# Is a secret left in a spelling that nobody listed, half encoded or half escaped? Its number, or 0.
function disguised(text,    i, found, before) {
  if (found = hidden_in(unescaped(text))) return found
  if (found = hidden_in(html_decoded(text))) return found
  for (i = 1; i <= 3 && text != before; i++) {
    before = text
    text = percent_decoded(text)
    if (found = hidden_in(text)) return found
    text = unescaped(text)
    if (found = hidden_in(text)) return found
    text = html_decoded(text)
    if (found = hidden_in(text)) return found
  }
  return 0
}

function hidden_in(text,    i) {
  if (text !~ suspect) return 0
  for (i = 1; i <= secrets; i++) if (index(text, secret[i])) return i
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
    if (!secretive(key)) { learn_login(substr(line[i], RLENGTH + 1), key); continue }
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
  suspected()
  return 1
}

function secretive(key,    i) {
  if (toupper(key) in named) return 1
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
    learn_parts(piece[i], key)
    learn_password(piece[i], key)
  }
}

# A long secret is looked for in parts, so that of one that is cut little is left.
function learn_parts(text, key,    at, size) {
  for (at = 1; length(text) - at >= 2 * part_size; at += size) {
    for (size = part_size; substr(text, at + size, 1) ~ /[\200-\277]/ && size > part_size - 4; size--);
    learn_spellings(substr(text, at, size), key)
  }
  learn_spellings(substr(text, at), key)
}

# A value that is no secret may be a URL with a password in it; a slash ends what may be one.
function learn_login(text, key) {
  if (!match(text, /:\/\/[^\/?# \t"\047]*@/)) return
  text = substr(text, RSTART, RLENGTH)
  learn_password(text, key)
  gsub(/\$\$/, "$", text)
  learn_password(text, key)
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
  learn_encoded(text, key)
  plain = percent_decoded(text)
  if (plain == text) return
  keep(plain, key)
  learn_encoded(plain, key)
}

function learn_encoded(text, key,    i, j, n, point, number) {
  if (text ~ /[^A-Za-z0-9]/) {
    for (i = 1; i <= 2; i++) {
      keep(percent_encoded(text, "", format[i]), key)
      keep(percent_encoded(text, "/", format[i]), key)
      keep(percent_encoded(text, "!*\047()", format[i]), key)
      n = percent_encoded(text, " ", format[i]); gsub(/ /, "+", n); keep(n, key)
    }
    n = points(text, point, number)
    for (i = 1; i <= kinds; i++) keep(spelled(kind[i], n, point, number), key)
  }
  if (length(text) < 6) return
  for (i = 0; i < 3; i++) for (j = 0; j < 2; j++) {
    n = base64(text, i, j); keep(n, key)
    gsub(/[+]/, "-", n); gsub(/\//, "_", n); keep(n, key)
  }
  n = hexadecimal(text)
  keep(n, key); keep(toupper(n), key)
}

function keep(text, key) {
  if (length(text) < 3 || text in known) return
  known[text] = 1
  secret[++secrets] = text
  key_of[secrets] = key
  if (length(text) > margin) margin = length(text)
}

# One regular expression that finds whatever may hold a secret, each spelling by its core: from the shortest on, and no
# core that has another in it.
function suspected(    i, j, n, core) {
  for (i = secrets; i; i--) {
    core = core_of(secret[i])
    for (j = 1; j <= n && !index(core, cores[j]); j++);
    if (j <= n) continue
    cores[++n] = core
    suspect = suspect (n == 1 ? "" : "|") core
  }
}

# What stands for a text there: letters and digits of it that are together, else all of it.
function core_of(text,    rest, best, i, c) {
  rest = text
  while (match(rest, /[A-Za-z0-9]+/)) {
    if (RLENGTH > length(best)) best = substr(rest, RSTART, RLENGTH)
    rest = substr(rest, RSTART + RLENGTH)
  }
  if (length(best) >= 6) return substr(best, 1, 24)
  best = ""
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    best = best (index(".[]{}()*+?^$|\\/", c) ? "\\" c : c)
  }
  return best
}

function longest_first(    i, n, size, at, old, old_key) {
  for (i = 1; i <= secrets; i++) {
    old[i] = secret[i]; old_key[i] = key_of[i]
    at[length(old[i])] = at[length(old[i])] " " i
  }
  secrets = 0
  for (size = margin; size; size--) {
    n = (size in at) ? split(at[size], field, " ") : 0
    for (i = 1; i <= n; i++) { secret[++secrets] = old[field[i]]; key_of[secrets] = old_key[field[i]] }
  }
}

# How others write a text, by kind: of single characters, and in `beyond` of what is no ASCII.
function spellings(    i, high, low) {
  part_size = 128
  split("02X 02x", format, " ")
  # Not every awk can raise to a power.
  power[0] = 1
  for (i = 0; i < 18; i++) power[i + 1] = 2 * power[i]
  digits = "0123456789abcdefABCDEF"
  for (i = 1; i <= 22; i++) digit[substr(digits, i, 1)] = i > 16 ? i - 7 : i - 1
  for (high in digit) for (low in digit) if (digit[high] + digit[low]) byte_of[high low] = char[digit[high] * 16 + digit[low]]
  letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
  kinds = split("html html_numbers html_text json json_ascii json_html repr repr_quoted ascii ascii_quoted bytes bytes_quoted", kind, " ")
  split("html html_numbers html_text", field, " ")
  for (i = 1; i <= 3; i++) { as[field[i], "&"] = "&amp;"; as[field[i], "<"] = "&lt;"; as[field[i], ">"] = "&gt;" }
  as["html", "\""] = "&quot;"; as["html", "\047"] = "&#x27;"
  as["html_numbers", "\""] = "&#34;"; as["html_numbers", "\047"] = "&#39;"
  for (i = 4; i <= kinds; i++) { as[kind[i], "\\"] = "\\\\"; as[kind[i], "\t"] = "\\t" }
  for (i = 4; i <= 6; i++) as[kind[i], "\""] = "\\\""
  as["json_html", "<"] = "\\u003c"; as["json_html", ">"] = "\\u003e"
  as["json_html", "&"] = "\\u0026"; as["json_html", "\047"] = "\\u0027"
  as["repr_quoted", "\047"] = as["ascii_quoted", "\047"] = as["bytes_quoted", "\047"] = "\\\047"
  beyond["json_ascii"] = beyond["json_html"] = "json"
  beyond["ascii"] = beyond["ascii_quoted"] = "ascii"
  beyond["bytes"] = beyond["bytes_quoted"] = "bytes"
  entity["amp"] = "&"; entity["lt"] = "<"; entity["gt"] = ">"; entity["quot"] = "\""; entity["apos"] = "\047"
  plain_of["n"] = "\n"; plain_of["r"] = "\r"; plain_of["t"] = "\t"; plain_of["b"] = "\b"; plain_of["f"] = "\f"
}

function spelled(kind, n, point, number,    i, done) {
  for (i = 1; i <= n; i++)
    if ((kind, point[i]) in as) done = done as[kind, point[i]]
    else done = done ((kind in beyond && number[i] > 127) ? escape(beyond[kind], point[i], number[i]) : point[i])
  return done
}

function escape(how, point, number,    i, done) {
  if (how == "bytes") {
    for (i = 1; i <= length(point); i++) done = done sprintf("\\x%02x", code[substr(point, i, 1)])
    return done
  }
  if (how == "ascii" && number < 256) return sprintf("\\x%02x", number)
  if (number < 65536) return sprintf("\\u%04x", number)
  if (how == "ascii") return sprintf("\\U%08x", number)
  number -= 65536
  return sprintf("\\u%04x\\u%04x", 55296 + int(number / 1024), 56320 + number % 1024)
}

# Take UTF-8 apart: its characters, and their numbers. How many there are.
function points(text, point, number,    i, j, n, c, more) {
  for (i = 1; i <= length(text); i += more + 1) {
    c = code[substr(text, i, 1)]
    more = c < 192 ? 0 : c < 224 ? 1 : c < 240 ? 2 : 3
    point[++n] = substr(text, i, more + 1)
    number[n] = !more ? c : more == 1 ? c - 192 : more == 2 ? c - 224 : c - 240
    for (j = 1; j <= more; j++) number[n] = number[n] * 64 + code[substr(text, i + j, 1)] - 128
  }
  return n
}

function utf8(number) {
  if (number < 128) return char[number]
  if (number < 2048) return char[192 + int(number / 64)] char[128 + number % 64]
  if (number < 65536) return char[224 + int(number / 4096)] char[128 + int(number / 64) % 64] char[128 + number % 64]
  if (number > 1114111) return ""
  return char[240 + int(number / 262144)] char[128 + int(number / 4096) % 64] char[128 + int(number / 64) % 64] char[128 + number % 64]
}

# The digits that a text decides, wherever it stands in what is encoded: offset bytes after a multiple of three. At the
# end of all that, one more of them is half decided.
function base64(text, offset, end,    i, at, bits, left, six, done) {
  at = 6 * (offset == 1 ? 2 : offset == 2 ? 3 : 0)
  left = 8 * offset
  for (i = 1; i <= length(text); i++) {
    bits = bits * 256 + code[substr(text, i, 1)]
    left += 8
    for (; left >= 6; left -= 6) {
      six = int(bits / power[left - 6])
      bits -= six * power[left - 6]
      if (at) at -= 6; else done = done letter(six)
    }
  }
  return end && left ? done letter(bits * power[6 - left]) (left == 2 ? "==" : "=") : done
}

function letter(number) { return number < 62 ? substr(letters, number + 1, 1) : number == 62 ? "+" : "/" }

function hexadecimal(text,    i, done) {
  for (i = 1; i <= length(text); i++) done = done sprintf("%02x", code[substr(text, i, 1)])
  return done
}

# What comes after backslashes, as JSON, Python and a shell write it.
function unescaped(text,    n, i, c, part, number) {
  if (!index(text, "\\")) return text
  n = split(text, part, /\\/)
  put(part[1])
  for (i = 2; i <= n; i++) {
    c = substr(part[i], 1, 1)
    if (c == "") put("\\" (i < n ? part[++i] : ""))
    else if (c == "x" && substr(part[i], 2, 2) in byte_of) put(byte_of[substr(part[i], 2, 2)] substr(part[i], 4))
    else if (c == "U" && (number = hex(substr(part[i], 2, 8), 8)) > 0) put(utf8(number) substr(part[i], 10))
    else if (c == "u" && (number = hex(substr(part[i], 2, 4), 4)) > 0) {
      if (number >= 55296 && number < 56320 && part[i] ~ /^u....$/ && part[i + 1] ~ /^u/) {
        number = 65536 + (number - 55296) * 1024 + hex(substr(part[++i], 2, 4), 4) - 56320
      }
      put(utf8(number) substr(part[i], 6))
    } else put((c in plain_of ? plain_of[c] : c) substr(part[i], 2))
  }
  return all_put()
}

# The number that so many digits make; 0 where one of them is none.
function hex(text, size,    i, c, number) {
  if (length(text) < size) return 0
  for (i = 1; i <= size; i++) {
    c = substr(text, i, 1)
    if (!(c in digit)) return 0
    number = number * 16 + digit[c]
  }
  return number
}

function percent_decoded(text,    n, i, c, part) {
  if (!index(text, "%")) return text
  n = split(text, part, "%")
  put(part[1])
  for (i = 2; i <= n; i++) {
    c = substr(part[i], 1, 2)
    put(c in byte_of ? byte_of[c] substr(part[i], 3) : "%" part[i])
  }
  return all_put()
}

function html_decoded(text,    n, i, end, name, part) {
  if (!index(text, "&")) return text
  n = split(text, part, "&")
  put(part[1])
  for (i = 2; i <= n; i++) {
    end = index(substr(part[i], 1, 10), ";")
    name = substr(part[i], 1, end - 1)
    if (name in entity) put(entity[name] substr(part[i], end + 1))
    else if (end && name ~ /^#[0-9]+$/) put(utf8(substr(name, 2) + 0) substr(part[i], end + 1))
    else if (end && name ~ /^#[xX][0-9A-Fa-f]+$/) put(utf8(hex(substr(name, 3), end - 3)) substr(part[i], end + 1))
    else put("&" part[i])
  }
  return all_put()
}

function percent_encoded(text, safe, format,    i, c, done) {
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    done = done ((c ~ /[A-Za-z0-9_.~-]/ || index(safe, c)) ? c : sprintf("%%%" format, code[c]))
  }
  return done
}
'
