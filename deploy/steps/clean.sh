inside clean "$inside_settings" </dev/null
