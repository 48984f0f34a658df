select day as time, arm, num, den
  from daily
 where day >= {{start}} and day < {{end}}
