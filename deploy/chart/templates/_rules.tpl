{{/* Clauses for each desk that has to be a target. */}}
{{- define "rules.absent" -}}
{{- $job := .name -}}
{{- range .rules.desks -}}
max by (service, environment, mode{{ if .instance }}, instance{{ end }}) (absent(up{{ include "rules.selector" (dict "job" $job "desk" .) }}))
          or {{ end -}}
{{- end }}

{{/* Clauses for each desk that has to report before the open of its market, where others have the same labels but for the instance. */}}
{{- define "rules.missing" -}}
{{- $job := .name -}}
{{- range .rules.desks -}}
{{- if .instance -}}
{{- $selector := include "rules.selector" (dict "job" $job "desk" .) -}}
max by (service, environment, mode, instance, venue) (last_over_time(market_next_open_timestamp_seconds{{ $selector }}[5d])) - time() <= 300
          unless on (service, environment, mode, instance) market_next_open_timestamp_seconds{{ $selector }}
          or {{ end -}}
{{- end -}}
{{- end }}

{{- define "rules.selector" -}}
{job={{ .job | quote }}, service={{ .desk.service | quote }}, environment={{ .desk.environment | quote }}, mode={{ .desk.mode | quote }}{{ with .desk.instance }}, instance={{ . | quote }}{{ end }}}
{{- end }}

{{/* A file of rules with its parameters filled in. */}}
{{- define "rules.filled" -}}
{{- $text := .text | replace "${job}" .values.name -}}
{{- $text = $text | replace "${absent}" (include "rules.absent" .values) -}}
{{- $text = $text | replace "${missing}" (include "rules.missing" .values) -}}
{{- if not .values.rules.runbooks -}}
{{- $text = regexReplaceAll "(?m)^ *runbook_url: .*\n" $text "" -}}
{{- end -}}
{{- $text = $text | replace "${runbooks}" (.values.rules.runbooks | toString) -}}
{{- range $name, $value := .values.rules.thresholds -}}
{{- $text = $text | replace (printf "${%s}" $name) ($value | toString) -}}
{{- $text = $text | replace (printf "${%s%%}" $name) (printf "%v %%" (mulf $value 100)) -}}
{{- end -}}
{{- $text -}}
{{- end }}
